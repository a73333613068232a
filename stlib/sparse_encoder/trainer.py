"""The trainer of sparse models."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from stlib.base.data_collator import BaseDataCollator
from stlib.base.model import BaseModel
from stlib.base.model_card import BaseModelCardData
from stlib.base.trainer import BaseTrainer
from stlib.base.training_args import BaseTrainingArguments
from stlib.errors import InvalidOption
from stlib.sparse_encoder.data_collator import SparseEncoderDataCollator
from stlib.sparse_encoder.model import SparseEncoder
from stlib.sparse_encoder.model_card import SparseEncoderModelCardData
from stlib.sparse_encoder.training_args import SparseEncoderTrainingArguments


class SparseEncoderTrainer(BaseTrainer):
    """Trains a :class:`~stlib.SparseEncoder`; arguments are those of
    :class:`~stlib.base.trainer.BaseTrainer`.
    """

    model_class: ClassVar[type[BaseModel] | str] = SparseEncoder
    model_card_data_class: ClassVar[type[BaseModelCardData]] = SparseEncoderModelCardData
    data_collator_class: ClassVar[type[BaseDataCollator]] = SparseEncoderDataCollator
    training_args_class: ClassVar[type[BaseTrainingArguments]] = SparseEncoderTrainingArguments

    def get_default_loss(self, model: Any) -> nn.Module:
        raise InvalidOption("there is no loss to train with; pass loss")
