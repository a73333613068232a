"""Settings of the training of rerankers."""

from __future__ import annotations

from dataclasses import dataclass

from stlib.base.sampler import BatchSamplers, MultiDatasetBatchSamplers
from stlib.base.training_args import BaseTrainingArguments

__all__ = ["BatchSamplers", "CrossEncoderTrainingArguments", "MultiDatasetBatchSamplers"]


@dataclass
class CrossEncoderTrainingArguments(BaseTrainingArguments):
    """See :class:`~stlib.base.training_args.BaseTrainingArguments`.

    A model that reads several columns together has one prompt and one route for all of them: ``prompts`` is
    a text or a dict from data set to text, ``router_mapping`` a dict from data set to route.
    """
