"""Static embeddings of real passages: stlib beside Sentence Transformers and model2vec, same table, same run.

    python tests/benchmarks/bench_static.py [--passages 2000] [--rounds 9] [--threads 2] [CORPUS.jsonl]

The passages (5 to 250 words) come from the sample corpus, or from a file with one {"text": …} a line. "first"
is the first call of a fresh model, when every word is new; other figures are medians of interleaved calls.
On a busy machine one thread is faster for stlib: its work is short, and threads wait for each other.
model2vec leaves tokens out that it does not know, so its vectors are compared where there are none.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import model2vec
import numpy as np
import sentence_transformers
import torch
from bench_common import describe, sample_corpus, time_once
from tokenizers import Tokenizer

import stlib
from stlib.models import StaticEmbedding
from stlib.runtime import default_model_path


def passages(file: Path | None, n: int) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        file = file or sample_corpus(Path(folder)) / "corpus.jsonl"
        texts = [json.loads(line)["text"] for line in file.read_text(encoding="utf-8").splitlines()]
    texts = [text for text in texts if 5 <= len(text.split()) <= 250]
    picked = np.random.default_rng(0).permutation(len(texts))[:n]
    return [texts[i] for i in picked]


def build(folder: Path) -> dict[str, object]:
    """One table of floats in the three libraries; the two that read folders read the same one."""
    source = StaticEmbedding.load(str(default_model_path() / "0_StaticEmbedding"))
    source._scale = None
    stlib.SentenceTransformer(modules=[source], device="cpu").save(str(folder))
    table = source.embedding.weight.detach().numpy()
    tokenizer = Tokenizer.from_file(str(next(folder.rglob("tokenizer.json"))))
    return {
        "stlib": stlib.SentenceTransformer(str(folder), device="cpu"),
        "sentence-transformers": sentence_transformers.SentenceTransformer(str(folder), device="cpu"),
        "model2vec": model2vec.StaticModel(vectors=table, tokenizer=tokenizer, config={"normalize": False}),
    }


def encode(model: object, texts: list[str]) -> np.ndarray:
    options = {"max_length": None} if isinstance(model, model2vec.StaticModel) else {}
    return model.encode(texts, show_progress_bar=False, **options)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus", nargs="?", type=Path)
    parser.add_argument("--passages", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    describe("sentence-transformers", "model2vec", "tokenizers", "torch")
    texts = passages(options.corpus, options.passages)
    words = sum(len(text.split()) for text in texts) / len(texts)
    print(f"{len(texts)} passages of {words:.0f} words on average")
    with tempfile.TemporaryDirectory() as folder:
        models = build(Path(folder))
        first = {name: time_once(lambda m=model: encode(m, texts)) for name, model in models.items()}
        times: dict[str, list[float]] = {name: [] for name in models}
        for _ in range(options.rounds):
            for name, model in models.items():
                times[name].append(time_once(lambda m=model: encode(m, texts)))
    vectors = {name: encode(model, texts) for name, model in models.items()}
    tokenizer = models["stlib"][0].tokenizer
    unknown = tokenizer.token_to_id("[UNK]")
    known = [unknown not in encoding.ids for encoding in tokenizer.encode_batch(texts)]
    ours = statistics.median(times["stlib"])
    for name in models:
        median, start = statistics.median(times[name]), first[name]
        speed = len(texts) / median
        gap = np.abs(vectors[name] - vectors["stlib"])[known if name == "model2vec" else slice(None)].max()
        print(
            f"{name:22} {median * 1e3:7.1f} ms {speed:7.0f} texts/s, first {start * 1e3:7.1f} ms; "
            f"ratio {median / ours:5.2f}, first {start / first['stlib']:5.2f}; largest difference {gap:.1e}"
        )


if __name__ == "__main__":
    main()
