"""Settings of the training of late-interaction models."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from stlib.base.sampler import BatchSamplers, MultiDatasetBatchSamplers
from stlib.base.training_args import BaseTrainingArguments
from stlib.errors import InvalidOption

__all__ = ["BatchSamplers", "MultiDatasetBatchSamplers", "MultiVectorEncoderTrainingArguments"]


@dataclass
class MultiVectorEncoderTrainingArguments(BaseTrainingArguments):
    """See :class:`~stlib.base.training_args.BaseTrainingArguments`.

    Args:
        max_length: tokens kept of each text in training, for all columns or by task, e.g.
            ``{"query": 32, "document": 180}``. Evaluators and the saved model keep the model's own lengths,
            and so do queries that are filled up to a fixed length.
    """

    max_length: int | dict[str, int] | str | None = field(
        default=None, metadata={"help": "tokens kept of each text in training, or by task: query, document"}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.max_length = _lengths(self.max_length)


def _lengths(value: Any) -> int | dict[str, int] | None:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise InvalidOption(
                f"max_length is a text that is no JSON ({error}); pass a number or a dict"
            ) from None
    lengths = list(value.values()) if isinstance(value, dict) else [] if value is None else [value]
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in lengths):
        raise InvalidOption(
            f"max_length is {value!r}; give a number of tokens from 1 on, or one for each task"
        )
    return value
