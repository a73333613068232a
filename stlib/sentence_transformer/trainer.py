"""The trainer of dense models."""

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
from stlib.sentence_transformer import loss_inputs
from stlib.sentence_transformer.data_collator import SentenceTransformerDataCollator
from stlib.sentence_transformer.losses.cosent import CoSENTLoss
from stlib.sentence_transformer.model_card import SentenceTransformerModelCardData
from stlib.sentence_transformer.training_args import SentenceTransformerTrainingArguments

logger = logging.getLogger(__name__)


class SentenceTransformerTrainer(BaseTrainer):
    """Trains a :class:`~stlib.SentenceTransformer`; arguments are those of
    :class:`~stlib.base.trainer.BaseTrainer`, and the loss is :class:`CoSENTLoss` by default.

    Example::

        from datasets import Dataset
        from stlib import SentenceTransformer, SentenceTransformerTrainer
        from stlib.losses import MultipleNegativesRankingLoss

        model = SentenceTransformer("all-MiniLM-L6-v2")
        pairs = Dataset.from_dict({"question": ["how to sort"], "answer": ["call sorted"]})
        trainer = SentenceTransformerTrainer(
            model, train_dataset=pairs, loss=MultipleNegativesRankingLoss(model)
        )
        trainer.train()
        model.save("my-model")
    """

    model_class: ClassVar[type[BaseModel] | str] = "SentenceTransformer"
    model_card_data_class: ClassVar[type[BaseModelCardData]] = SentenceTransformerModelCardData
    data_collator_class: ClassVar[type[BaseDataCollator]] = SentenceTransformerDataCollator
    training_args_class: ClassVar[type[BaseTrainingArguments]] = SentenceTransformerTrainingArguments

    def get_default_loss(self, model: Any) -> nn.Module:
        """:class:`CoSENTLoss`, for pairs with a number each."""
        logger.info("no loss was passed; CoSENTLoss is used, which needs pairs with a score each")
        return CoSENTLoss(model)

    def loss_inputs(self, loss: nn.Module) -> LossInputs | None:
        return loss_inputs.inputs_of(loss)
