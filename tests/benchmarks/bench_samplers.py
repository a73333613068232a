"""Times the batch samplers beside the reference's: an epoch of 100,000 rows, and the batches compared.

Rows have two texts. "all different": no text twice. "few": one answer in ten is another row's. "half": each
answer is in two rows on average. "common": one row in twenty has one of ten answers. The first epoch reads
the rows; the second has read them.

Run: ``python tests/benchmarks/bench_samplers.py [--rows 100000] [--batch 64]``.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bench_common import describe

N_LABELS = 1000


def tables(n_rows: int) -> dict[str, Any]:
    from datasets import Dataset

    draw = np.random.default_rng(0)
    answers = np.arange(n_rows)
    picks = {
        "all different": answers,
        "few": np.where(draw.random(n_rows) < 0.1, draw.integers(0, n_rows, n_rows), answers),
        "half": draw.integers(0, n_rows // 2, n_rows),
        "common": np.where(draw.random(n_rows) < 0.05, draw.integers(0, 10, n_rows), answers),
    }
    labels = draw.integers(0, N_LABELS, n_rows).tolist()
    questions = [f"how do i do the thing number {row} of them all" for row in range(n_rows)]
    return {
        name: Dataset.from_dict(
            {
                "question": questions,
                "answer": [f"the thing number {pick} is done by doing it" for pick in picked],
                "label": labels,
            }
        )
        for name, picked in picks.items()
    }


def epochs(library: Any, kind: str, table: Any, batch_size: int, **options: Any) -> tuple[list[float], Any]:
    """Seconds of two epochs, and the batches."""
    started = time.perf_counter()
    sampler = getattr(library, kind)(
        table,
        batch_size=batch_size,
        drop_last=False,
        valid_label_columns=["label"],
        generator=torch.Generator(),
        seed=1,
        **options,
    )
    seconds, batches = [], []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        batches.append([list(map(int, batch)) for batch in sampler])
        seconds.append(time.perf_counter() - started)
        started = time.perf_counter()
    return seconds, batches


def main() -> None:
    import sentence_transformers.base.sampler as theirs
    from datasets.utils.logging import disable_progress_bar

    import stlib.base.sampler as ours

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    disable_progress_bar()
    describe("torch", "datasets", "sentence-transformers", "numpy")
    print(f"{arguments.rows} rows, batches of {arguments.batch}, median of {arguments.rounds} rounds")
    print(f"{'sampler':38}{'epoch':>6}{'ours s':>9}{'theirs s':>10}{'ratio':>8}")
    all_tables = tables(arguments.rows)
    cases: list[tuple[str, str, Any, dict[str, Any]]] = [
        (f"no duplicates, {name}", "NoDuplicatesBatchSampler", table, {})
        for name, table in all_tables.items()
    ]
    hashed = {"precompute_hashes": True, "precompute_num_proc": 1}
    cases.append(("no duplicates, hashed, few", "NoDuplicatesBatchSampler", all_tables["few"], hashed))
    cases.append(("no duplicates, hashed, common", "NoDuplicatesBatchSampler", all_tables["common"], hashed))
    cases.append(("group by label", "GroupByLabelBatchSampler", all_tables["few"], {}))
    for name, kind, table, options in cases:
        compare(name, kind, table, options, (ours, theirs), arguments)


def compare(
    name: str, kind: str, table: Any, options: dict[str, Any], libraries: tuple[Any, Any], arguments: Any
) -> None:
    figures: list[list[list[float]]] = [[], []]
    found: list[Any] = [None, None]
    for _ in range(arguments.rounds):
        for place, library in enumerate(libraries):
            seconds, found[place] = epochs(library, kind, table, arguments.batch, **options)
            figures[place].append(seconds)
    if found[0] != found[1]:
        raise SystemExit(f"{name}: the batches differ from the reference's")
    for epoch in range(2):
        ours, theirs = (statistics.median(times[epoch] for times in of_one) for of_one in figures)
        print(f"{name:38}{epoch + 1:>6}{ours:>9.3f}{theirs:>10.3f}{theirs / ours:>7.1f}x", flush=True)


if __name__ == "__main__":
    main()
