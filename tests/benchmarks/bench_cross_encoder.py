"""`CrossEncoder.predict` beside sentence-transformers': pairs of mixed length, torch and ONNX int8.

    python tests/benchmarks/bench_cross_encoder.py BEIR_FOLDER [--pairs 2000] [--threads 2] [--rounds 3]

The model is a sequence classifier with the weights of all-MiniLM-L6-v2 and a random head: the work is that of
any reranker of its size. Pairs are the collection's questions with its passages, some of them cut to a few
words. Both libraries run in turns in one process; printed are medians, and the largest difference of scores.
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
from bench_common import describe, time_once
from bench_quality import reference_model

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
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    describe("stlib", "sentence-transformers", "torch", "onnxruntime")
    pairs = mixed_pairs(options.folder, options.pairs)
    with tempfile.TemporaryDirectory() as work:
        folder = classifier(Path(work) / "torch")
        compare(folder, Path(work) / "onnx", pairs, options.rounds)


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


def classifier(folder: Path) -> Path:
    """A folder with a sequence classifier."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(reference_model(), num_labels=1)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(reference_model(), model_max_length=512).save_pretrained(folder)
    return folder


def compare(folder: Path, exported: Path, pairs: list[tuple[str, str]], rounds: int) -> None:
    from sentence_transformers import CrossEncoder as Reference

    theirs, ours = Reference(str(folder), device="cpu"), CrossEncoder(folder, device="cpu")
    onnx = CrossEncoder(folder, backend="onnx", device="cpu")
    onnx.save(str(exported))
    export_dynamic_quantized_onnx_model(onnx, "avx512_vnni", str(exported))
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


if __name__ == "__main__":
    main()
