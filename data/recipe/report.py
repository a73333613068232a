"""Figures of the model card, student and teacher measured in the same run.

``python -m data.recipe.report --beir FOLDER … --sts sts-test.csv``
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.recipe import measure, teacher
from stlib.runtime import Encoder


def main() -> None:
    """Print one table: a row per model and width, a column per test collection."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="folder of the student; default: the bundled model")
    parser.add_argument("--beir", type=Path, nargs="+", default=[], help="folders in BEIR layout, test split")
    parser.add_argument("--sts", type=Path, help="STS benchmark test file")
    options = parser.parse_args()
    student = Encoder.load(options.model)
    reader = teacher.Teacher(teacher.minilm_path(), precise=True)

    @cache
    def read(texts: tuple[str, ...]) -> NDArray[np.float32]:
        return reader.encode(texts, max_tokens=256).astype(np.float32)

    rows = {"all-MiniLM-L6-v2 (384)": lambda texts: read(tuple(texts))}
    for width in (256, 128, 64):
        rows[f"{student.name} ({width})"] = partial(student.encode, truncate_dim=width)
    print("| model |", *(f"{folder.name} NDCG@10 |" for folder in options.beir), "STS-B Spearman |")
    for name, encode in rows.items():
        print(f"| {name} |", *_figures(encode, options.beir, options.sts))


def _figures(encode: measure.Encode, folders: Sequence[Path], sts: Path | None) -> list[str]:
    scores = [measure.ndcg10(encode, folder, "test") for folder in folders]
    if sts:
        scores.append(measure.sts_spearman(encode, sts))
    return [f"{score:.4f} |" for score in scores]


if __name__ == "__main__":
    main()
