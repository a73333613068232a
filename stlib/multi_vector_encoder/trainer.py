"""The trainer of late-interaction models."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from torch import nn

from stlib.base.data_collator import BaseDataCollator
from stlib.base.model import BaseModel
from stlib.base.model_card import BaseModelCardData
from stlib.base.trainer import BaseTrainer
from stlib.base.training.checks import LossInputs
from stlib.base.training_args import BaseTrainingArguments
from stlib.multi_vector_encoder import loss_inputs
from stlib.multi_vector_encoder.data_collator import MultiVectorEncoderDataCollator
from stlib.multi_vector_encoder.losses.multiple_negatives_ranking import (
    MultiVectorMultipleNegativesRankingLoss,
)
from stlib.multi_vector_encoder.model_card import MultiVectorEncoderModelCardData
from stlib.multi_vector_encoder.training_args import MultiVectorEncoderTrainingArguments

logger = logging.getLogger(__name__)


class MultiVectorEncoderTrainer(BaseTrainer):
    """Trains a :class:`~stlib.MultiVectorEncoder`; arguments are those of
    :class:`~stlib.base.trainer.BaseTrainer`, and the loss is :class:`MultiVectorMultipleNegativesRankingLoss`
    by default.

    The first column is of queries, the others of documents.

    Example::

        from datasets import Dataset
        from stlib import MultiVectorEncoder, MultiVectorEncoderTrainer

        model = MultiVectorEncoder("answerdotai/ModernBERT-base")
        pairs = Dataset.from_dict({"question": ["how to sort"], "answer": ["call sorted"]})
        MultiVectorEncoderTrainer(model, train_dataset=pairs).train()
        model.save("my-model")
    """

    model_class: ClassVar[type[BaseModel] | str] = "MultiVectorEncoder"
    model_card_data_class: ClassVar[type[BaseModelCardData]] = MultiVectorEncoderModelCardData
    data_collator_class: ClassVar[type[BaseDataCollator]] = MultiVectorEncoderDataCollator
    training_args_class: ClassVar[type[BaseTrainingArguments]] = MultiVectorEncoderTrainingArguments

    def get_default_loss(self, model: Any) -> nn.Module:
        """:class:`MultiVectorMultipleNegativesRankingLoss`, for questions and their answers."""
        logger.info("no loss was passed; MultiVectorMultipleNegativesRankingLoss is used")
        return MultiVectorMultipleNegativesRankingLoss(model)

    def loss_inputs(self, loss: nn.Module) -> LossInputs | None:
        return loss_inputs.inputs_of(loss)
