"""Similarities from a stronger model, where people gave none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datasets import Dataset
from torch import nn

from stlib import CrossEncoder

__all__ = ["read_teacher", "score_pairs", "with_scores"]


def score_pairs(labeller: Any, pairs: Sequence[tuple[str, str]], batch_size: int = 32) -> list[float]:
    """One similarity per pair.

    `labeller` is a bi-encoder, whose own similarity function is used, or anything with ``predict(pairs)``,
    as a cross-encoder has it. A cross-encoder reads both texts together and labels better.
    """
    if not hasattr(labeller, "encode"):
        return [float(score) for score in labeller.predict(list(pairs), batch_size=batch_size)]
    texts = list(dict.fromkeys(text for pair in pairs for text in pair))
    row = {text: i for i, text in enumerate(texts)}
    vectors = labeller.encode(texts, batch_size=batch_size, convert_to_tensor=True)
    left, right = (vectors[[row[pair[side]] for pair in pairs]] for side in (0, 1))
    return labeller.similarity_pairwise(left, right).tolist()


def read_teacher(name: str) -> CrossEncoder:
    """A reranker whose scores are before any activation, which would squeeze them."""
    teacher = CrossEncoder(name)
    teacher.activation_fn = nn.Identity()
    return teacher


def with_scores(rows: Dataset, teacher: Any, batch_size: int = 32) -> Dataset:
    """The rows with label = the teacher's scores of the positive and of each negative."""
    anchors = rows["anchor"][:]
    columns = [name for name in rows.column_names if name != "anchor"]
    scores = [
        score_pairs(teacher, list(zip(anchors, rows[name][:], strict=True)), batch_size) for name in columns
    ]
    return rows.add_column("label", [list(row) for row in zip(*scores, strict=True)])
