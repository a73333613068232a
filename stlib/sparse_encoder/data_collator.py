"""Rows of a dataset to one batch of features, for models that make one sparse vector per input."""

from __future__ import annotations

from dataclasses import dataclass

from stlib.base.data_collator import BaseDataCollator


@dataclass
class SparseEncoderDataCollator(BaseDataCollator):
    """The collator of :class:`SparseEncoderTrainer`; see :class:`BaseDataCollator`."""
