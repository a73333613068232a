"""Rows of a dataset to one batch of features, for models that make one vector per input."""

from __future__ import annotations

from dataclasses import dataclass

from stlib.base.data_collator import BaseDataCollator


@dataclass
class SentenceTransformerDataCollator(BaseDataCollator):
    """The collator of :class:`SentenceTransformerTrainer`; see :class:`BaseDataCollator`."""
