"""Passages per second from files to a committed, searchable collection.

    python tests/benchmarks/bench_indexing.py [--copies 4]

The corpus is the sample corpus, several times over with changed words. The reference embeds the same texts
with the same static model in sentence-transformers, and does nothing else: it reads no file, cuts, stores and
indexes nothing.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from bench_common import describe, sample_corpus, time_once

from indexing import Collection
from indexing.documents import read_paths
from indexing.embed import chunk_text


def write_copies(corpus: Path, target: Path, copies: int) -> list[str]:
    """The corpus `copies` times under new ids; the texts that are embedded."""
    rows = [json.loads(line) for line in (corpus / "corpus.jsonl").open(encoding="utf-8")]
    texts = []
    with target.open("w", encoding="utf-8") as file:
        for copy in range(copies):
            for row in rows:
                text = f"{row['text']} Edition {copy}."
                texts.append(chunk_text(row["title"], text))
                changed = {**row, "_id": f"{row['_id']}@{copy}", "text": text}
                file.write(json.dumps(changed) + "\n")
    return texts


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--copies", type=int, default=4)
    copies = parser.parse_args().copies
    describe("faiss-cpu", "tantivy", "sqlalchemy", "sentence-transformers", "torch")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = write_copies(sample_corpus(folder / "corpus"), folder / "all.jsonl", copies)
        report = None
        with Collection.create("bench", home=folder / "home") as collection:

            def run() -> None:
                nonlocal report
                report = collection.add(read_paths([folder / "all.jsonl"]))
                collection.refresh()

            ours = time_once(run)
        from stlib import SentenceTransformer

        SentenceTransformer("stlib-static-en").save(str(folder / "model"))
        from sentence_transformers import SentenceTransformer as Reference

        reference = Reference(str(folder / "model"), device="cpu")
        theirs = time_once(lambda: reference.encode(texts, batch_size=1024))
    assert report is not None
    rate = report.chunks / ours
    print(f"{report.chunks:,} passages, {report.added:,} documents: {ours:.2f} s, {rate:,.0f} passages/s")
    print(
        f"  embedding {report.embed_seconds:.2f} s, commits {report.commit_seconds:.2f} s,"
        f" vector and keyword views {report.view_seconds:.2f} s, keyword lag {report.keyword_lag}"
    )
    print(f"sentence-transformers, embedding alone: {theirs:.2f} s, {len(texts) / theirs:,.0f} texts/s")
    print(f"ratio of whole path to the reference's embedding: {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
