"""What the recipes of clustering share: encoding, grouping and printing."""

# ruff: noqa: T201 - the result is what the user asked for

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from stlib.recipes._inputs import add_text_arguments, argument_parser, load_model, read_texts
from stlib.recipes._numbers import positive


def clustering_parser(description: str) -> argparse.ArgumentParser:
    """Arguments of every clustering: the texts, the model, and how much is printed."""
    parser = argument_parser(description)
    add_text_arguments(parser)
    parser.add_argument("--show", type=positive, default=5, help="texts printed of each cluster")
    return parser


def encode_texts(args: argparse.Namespace) -> tuple[list[str], np.ndarray]:
    """The texts of the file and their unit vectors ``[n, d]``, for which distances order as cosines do."""
    texts = read_texts(args.file, args.column, args.limit)
    model = load_model(args.model)
    return texts, model.encode(texts, batch_size=args.batch_size, normalize_embeddings=True)


def groups(labels: Iterable[int]) -> list[list[int]]:
    """Positions by label, largest group first; of equal ones that of the earlier text."""
    by_label: dict[int, list[int]] = {}
    for i, label in enumerate(labels):
        by_label.setdefault(int(label), []).append(i)
    return sorted(by_label.values(), key=len, reverse=True)


def central_first(members: Sequence[int], vectors: np.ndarray) -> list[int]:
    """Members with the one nearest to their mean first."""
    rows = vectors[list(members)]
    order = np.argsort(-(rows @ rows.mean(axis=0)), kind="stable")
    return [members[i] for i in order]


def print_clusters(clusters: Sequence[Sequence[int]], texts: Sequence[str], show: int) -> None:
    """Each cluster with its size and its first texts."""
    for number, members in enumerate(clusters, 1):
        print(f"cluster {number}, {len(members)} texts")
        for i in members[:show]:
            print(f"  {texts[i]}")
        if len(members) > show:
            print(f"  ... {len(members) - show} more")


def require_sklearn(module: str) -> Any:
    """A module of scikit-learn.

    Raises:
        MissingDependency: it is not installed.
    """
    from stlib.extras import require

    return require(f"sklearn.{module}", "recipes")
