"""Late interaction against Sentence Transformers: encoding, MaxSim and its memory, in one run.

    python tests/benchmarks/bench_multi_vector.py [--quick] [--only encode maxsim memory]

The encoder is all-MiniLM-L6-v2 with a projection to 128 dimensions, queries filled up to 32 tokens and a skip
list of punctuation; passages are docstrings of the standard library. Runs of both libraries alternate in one
process, and medians are printed, of wall time and of processor time. On a busy machine OMP_NUM_THREADS=1
makes the latter a fair measure. Memory is what a call adds to the process at its highest (Linux only).
"""

from __future__ import annotations

import argparse
import importlib
import os
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
from bench_common import describe
from bench_encode import QUESTION, alternate, model_folder, sample_passages

DIMENSION = 128
PARTS = ("encode", "maxsim", "memory")
OURS, THEIRS = "stlib", "sentence_transformers"


def build(library: str, folder: str) -> Any:
    """The same model of a library."""
    import torch

    base = importlib.import_module(f"{library}.base.modules")
    own = importlib.import_module(f"{library}.multi_vector_encoder.modules")
    torch.manual_seed(0)
    transformer = base.Transformer(
        folder, query_expansion={"strategy": "fixed", "length": 32}, document_length=180
    )
    projection = base.Dense(
        384, DIMENSION, bias=False, activation_function=None, module_input_name="token_embeddings"
    )
    mask = own.MultiVectorMask(list(string.punctuation))
    modules = [transformer, projection, mask, base.Normalize("token_embeddings")]
    return importlib.import_module(library).MultiVectorEncoder(modules=modules, device="cpu")


def compare(title: str, n: int, what: str, runs: dict[str, Callable[[], Any]], rounds: int) -> None:
    """Prints the rates of both libraries and how much faster ours is."""
    times = alternate(runs, rounds)
    (ours, our_cpu), (theirs, their_cpu) = times[OURS], times[THEIRS]
    print(
        f"{title:44} {n / theirs:10,.0f} -> {n / ours:10,.0f} {what} a second: {theirs / ours:.2f} times "
        f"({their_cpu / our_cpu:.2f} by processor time)"
    )


def bench_encode(quick: bool) -> None:
    import torch

    models = {library: build(library, model_folder()) for library in (OURS, THEIRS)}
    passages = sample_passages(128 if quick else 512, None)
    queries = [f"{QUESTION} {' '.join(text.split()[: i % 8])}" for i, text in enumerate(passages)]
    for name, texts in (("encode_document", passages), ("encode_query", queries)):
        mine, other = (getattr(models[library], name)(texts) for library in (OURS, THEIRS))
        farthest = max(float((a - b).abs().max()) for a, b in zip(mine, other, strict=True))
        assert farthest < 1e-4, f"{name} differs by {farthest}"
        runs = {
            library: (lambda m=model, n=name, t=texts: getattr(m, n)(t)) for library, model in models.items()
        }
        compare(name, len(texts), "texts", runs, 2 if quick else 5)
    assert isinstance(mine[0], torch.Tensor)


def token_vectors(n: int, shortest: int, longest: int, seed: int) -> list[Any]:
    import torch

    torch.manual_seed(seed)
    lengths = np.random.default_rng(seed).integers(shortest, longest + 1, n).tolist()
    return [torch.nn.functional.normalize(torch.randn(length, DIMENSION), dim=1) for length in lengths]


def maxsims() -> dict[str, Any]:
    return {library: importlib.import_module(f"{library}.util.similarity") for library in (OURS, THEIRS)}


def bench_maxsim(quick: bool) -> None:
    import torch

    n = 1_000 if quick else 4_000
    ragged, even = token_vectors(n, 30, 250, 0), token_vectors(n, 128, 128, 1)
    padded = torch.nn.utils.rnn.pad_sequence(ragged[: n // 4], batch_first=True)
    queries = token_vectors(20, 32, 32, 2)
    cases = {
        "maxsim, 1 query, documents of 30-250 tokens": ("maxsim", queries[:1], ragged),
        "maxsim, 20 queries, documents of 30-250": ("maxsim", queries, ragged),
        "maxsim, 1 query, documents of 128": ("maxsim", queries[:1], even),
        "maxsim, 1 query, padded documents": ("maxsim", queries[:1], padded),
        "maxsim_pairwise, documents of 30-250": ("maxsim_pairwise", queries * (n // 20), ragged),
    }
    for title, (name, asked, documents) in cases.items():
        functions = {library: getattr(module, name) for library, module in maxsims().items()}
        torch.testing.assert_close(*(function(asked, documents) for function in functions.values()))
        runs = {library: (lambda f=f, a=asked, d=documents: f(a, d)) for library, f in functions.items()}
        scored = len(documents) * (len(asked) if name == "maxsim" else 1)
        compare(title, scored, "pairs", runs, 3 if quick else 7)


def bench_memory(quick: bool) -> None:
    queries = token_vectors(20, 32, 32, 2)
    for n in (500, 1_000, 2_000) if quick else (1_000, 4_000, 16_000):
        documents = token_vectors(n, 30, 250, 3)
        added = {}
        for library, module in maxsims().items():
            added[library] = peak_of(lambda f=module.maxsim, d=documents: f(queries, d))
        print(
            f"{f'memory of maxsim, 20 queries, {n:,} documents':44} {added[THEIRS]:10,.0f} -> "
            f"{added[OURS]:10,.0f} MiB"
        )


def peak_of(run: Callable[[], Any]) -> float:
    """MiB that a call adds to the process's memory at its highest."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is counted from here
    before = _status("VmRSS")
    run()
    return (_status("VmHWM") - before) / 1024


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer texts and rounds")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    arguments = parser.parse_args()
    describe("torch", "transformers", "sentence-transformers", "numpy")
    benches = {"encode": bench_encode, "maxsim": bench_maxsim, "memory": bench_memory}
    for part in arguments.only:
        benches[part](arguments.quick)


if __name__ == "__main__":
    main()
