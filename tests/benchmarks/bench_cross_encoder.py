"""`CrossEncoder.predict` beside sentence-transformers': pairs of mixed length, torch and ONNX int8.

    python tests/benchmarks/bench_cross_encoder.py BEIR_FOLDER [--pairs 2000] [--threads 2] [--rounds 3]

The model is ms-marco-MiniLM-L12 with floating-point weights, see `dequantized`. Pairs are the collection's
questions with its passages, some of them cut to a few words. Both libraries run in turns in one process;
printed are medians, and the largest difference of scores. Last comes what 8 bits cost: NDCG@10 of hybrid
search through the real index, reranked by the floating-point model and by the int8 file made of it.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch
from bench_common import describe, p_value, time_once
from dequantized import save_dequantized

from indexing import Collection
from indexing.documents import read_paths
from indexing.evaluation import read_beir
from stlib import CrossEncoder, export_dynamic_quantized_onnx_model
from stlib.runtime import Reranker

INT8 = "model_qint8_avx512_vnni.onnx"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--depth", type=int, default=20, help="documents that are reranked for NDCG@10")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    describe("stlib", "sentence-transformers", "torch", "onnxruntime")
    pairs = mixed_pairs(options.folder, options.pairs)
    with tempfile.TemporaryDirectory() as work:
        folder, exported = save_dequantized(Path(work) / "torch"), Path(work) / "onnx"
        export_int8(folder, exported)
        compare(folder, exported, pairs, options.rounds)
        compare_quality(folder, exported, options.folder, options.depth)


def mixed_pairs(folder: Path, n: int) -> list[tuple[str, str]]:
    """Questions with passages of a few words to whole documents."""
    questions = [json.loads(line)["text"] for line in (folder / "queries.jsonl").open(encoding="utf-8")]
    passages = [json.loads(line)["text"] for line in (folder / "corpus.jsonl").open(encoding="utf-8")]
    chosen = random.Random(0)
    pairs = []
    for _ in range(n):
        words = chosen.choice(passages).split()
        pairs.append((chosen.choice(questions), " ".join(words[: chosen.choice([10, 30, 60, 120, 400])])))
    return pairs


def export_int8(folder: Path, exported: Path) -> None:
    onnx = CrossEncoder(folder, backend="onnx", device="cpu")
    onnx.save(str(exported))
    export_dynamic_quantized_onnx_model(onnx, "avx512_vnni", str(exported))


def compare(folder: Path, exported: Path, pairs: list[tuple[str, str]], rounds: int) -> None:
    from sentence_transformers import CrossEncoder as Reference

    theirs, ours = Reference(str(folder), device="cpu"), CrossEncoder(folder, device="cpu")
    small = CrossEncoder(exported, backend="onnx", device="cpu", model_kwargs={"file_name": f"onnx/{INT8}"})
    logits = torch.nn.Identity()
    runs = {
        "sentence-transformers": lambda: theirs.predict(pairs, activation_fn=logits),
        "stlib": lambda: ours.predict(pairs, activation_fn=logits),
        "stlib, ONNX int8": lambda: small.predict(pairs, activation_fn=logits),
        "stlib without torch, ONNX int8": without_torch(exported, pairs),
    }
    scores = {name: np.asarray(run()) for name, run in runs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            seconds[name].append(time_once(run))
    base = statistics.median(seconds["sentence-transformers"])
    for name in runs:
        median = statistics.median(seconds[name])
        off = np.abs(scores[name] - scores["sentence-transformers"]).max()
        print(f"{name:30} {len(pairs) / median:6.0f} pairs/s  {base / median:5.2f} x  differs by {off:.1e}")


def without_torch(folder: Path, pairs: list[tuple[str, str]]):
    """The torch-free reranker takes one question at a time, as a search does."""
    reranker = Reranker.load(folder, file_name=INT8)
    by_question: dict[str, list[int]] = {}
    for row, (question, _) in enumerate(pairs):
        by_question.setdefault(question, []).append(row)

    def run() -> np.ndarray:
        scores = np.zeros(len(pairs), np.float32)
        for question, rows in by_question.items():
            scores[rows] = reranker.scores(question, [pairs[row][1] for row in rows])
        return scores

    return run


def compare_quality(folder: Path, exported: Path, corpus: Path, depth: int) -> None:
    beir = read_beir(corpus, "test")
    rerankers = {
        "hybrid": None,
        "+ torch, fp32": CrossEncoder(folder, device="cpu"),
        "+ ONNX int8": Reranker.load(exported, file_name=INT8),
    }
    values = {}
    with tempfile.TemporaryDirectory() as home, Collection.create("bench", home=home) as collection:
        collection.add(read_paths([corpus]), on_error="skip")
        for name, reranker in rerankers.items():
            found = collection.evaluate(beir.queries, beir.qrels, rerank=reranker, rerank_depth=depth)
            values[name] = np.array([one["NDCG@10"] for one in found.per_query.values()])
            print(f"{name:15} NDCG@10 {values[name].mean():.4f}", flush=True)
    loss = values["+ ONNX int8"] - values["+ torch, fp32"]
    print(f"int8 against fp32: {loss.mean():+.4f}, p = {p_value(loss):.4f}")


if __name__ == "__main__":
    main()
