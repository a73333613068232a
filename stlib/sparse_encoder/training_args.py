"""Settings of the training of sparse models."""

from __future__ import annotations

from dataclasses import dataclass

from stlib.base.sampler import BatchSamplers, MultiDatasetBatchSamplers
from stlib.base.training_args import BaseTrainingArguments

__all__ = ["BatchSamplers", "MultiDatasetBatchSamplers", "SparseEncoderTrainingArguments"]


@dataclass
class SparseEncoderTrainingArguments(BaseTrainingArguments):
    """See :class:`~stlib.base.training_args.BaseTrainingArguments`."""
