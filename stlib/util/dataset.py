"""Columns of training data: which are labels, and how identifiers in them become texts."""

from __future__ import annotations

# The first of these that a dataset has is its label
DEFAULT_LABEL_COLUMNS: tuple[str, ...] = ("label", "labels", "score", "scores")
