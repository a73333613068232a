"""The trainer of sparse models."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from torch import nn

from stlib.base.data_collator import BaseDataCollator
from stlib.base.model import BaseModel
from stlib.base.model_card import BaseModelCardData
from stlib.base.trainer import BaseTrainer
from stlib.base.training.checks import LossInputs
from stlib.base.training.loss import LossFactory
from stlib.base.training_args import BaseTrainingArguments
from stlib.sparse_encoder import loss_inputs
from stlib.sparse_encoder.callbacks import SpladeRegularizerWeightSchedulerCallback
from stlib.sparse_encoder.data_collator import SparseEncoderDataCollator
from stlib.sparse_encoder.losses import SparseMultipleNegativesRankingLoss, SpladeLoss
from stlib.sparse_encoder.model import SparseEncoder
from stlib.sparse_encoder.model_card import SparseEncoderModelCardData
from stlib.sparse_encoder.training_args import SparseEncoderTrainingArguments

# Of the default loss.
_QUERY_WEIGHT, _DOCUMENT_WEIGHT = 5e-5, 3e-5

logger = logging.getLogger(__name__)


class SparseEncoderTrainer(BaseTrainer):
    """Trains a :class:`~stlib.SparseEncoder`; arguments are those of
    :class:`~stlib.base.trainer.BaseTrainer`, and the loss is by default a
    :class:`~stlib.sparse_encoder.losses.SpladeLoss` around
    :class:`~stlib.sparse_encoder.losses.SparseMultipleNegativesRankingLoss`.

    The penalties of a ``SpladeLoss`` rise from 0 within the first third of a training, unless a
    :class:`~stlib.sparse_encoder.callbacks.SpladeRegularizerWeightSchedulerCallback` for it is among the
    callbacks.

    Example::

        from datasets import Dataset
        from stlib import SparseEncoder, SparseEncoderTrainer
        from stlib.sparse_encoder.losses import SparseMultipleNegativesRankingLoss, SpladeLoss

        model = SparseEncoder("distilbert/distilbert-base-uncased")
        pairs = Dataset.from_dict({"question": ["how to sort"], "answer": ["call sorted"]})
        loss = SpladeLoss(model, SparseMultipleNegativesRankingLoss(model), 3e-5, 5e-5)
        SparseEncoderTrainer(model, train_dataset=pairs, loss=loss).train()
        model.save("my-model")
    """

    model_class: ClassVar[type[BaseModel] | str] = SparseEncoder
    model_card_data_class: ClassVar[type[BaseModelCardData]] = SparseEncoderModelCardData
    data_collator_class: ClassVar[type[BaseDataCollator]] = SparseEncoderDataCollator
    training_args_class: ClassVar[type[BaseTrainingArguments]] = SparseEncoderTrainingArguments

    def get_default_loss(self, model: Any) -> nn.Module:
        """:class:`SpladeLoss` around in-batch negatives, for pairs of a query and a document."""
        logger.info(
            "no loss was passed; SpladeLoss around SparseMultipleNegativesRankingLoss is used, with "
            "penalties of %g on queries and %g on documents, which should be tuned",
            _QUERY_WEIGHT,
            _DOCUMENT_WEIGHT,
        )
        ranking = SparseMultipleNegativesRankingLoss(model)
        return SpladeLoss(model, ranking, _DOCUMENT_WEIGHT, _QUERY_WEIGHT)

    def prepare_loss(self, loss: nn.Module | LossFactory, model: Any) -> nn.Module:
        """As the base; and the weights of a :class:`SpladeLoss` rise by a callback."""
        made = super().prepare_loss(loss, model)
        if isinstance(made, SpladeLoss):
            self._schedule(made)
        return made

    def _schedule(self, loss: SpladeLoss) -> None:
        """Put the callback of a loss, or a new one, in front of those that report what is logged."""
        callbacks = self.callback_handler.callbacks
        schedulers = [one for one in callbacks if isinstance(one, SpladeRegularizerWeightSchedulerCallback)]
        scheduler = next((one for one in schedulers if one.loss is loss), None)
        if scheduler is None:
            logger.warning(
                "no SpladeRegularizerWeightSchedulerCallback is among the callbacks; one is added, by which "
                "the weights of %s rise from 0 in the first third of the training",
                type(loss).__name__,
            )
            scheduler = SpladeRegularizerWeightSchedulerCallback(loss)
        else:
            callbacks.remove(scheduler)
        callbacks.insert(1, scheduler)  # behind the callback that steers the training

    def loss_inputs(self, loss: nn.Module) -> LossInputs | None:
        return loss_inputs.inputs_of(loss)
