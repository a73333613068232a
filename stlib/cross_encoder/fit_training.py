"""What ``fit`` and ``old_fit`` of rerankers hand to the trainer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from stlib.base.training_args import BaseTrainingArguments
from stlib.cross_encoder.fit_rounds import PairRoundsTrainer
from stlib.cross_encoder.losses.binary_cross_entropy import BinaryCrossEntropyLoss
from stlib.cross_encoder.losses.cross_entropy import CrossEntropyLoss
from stlib.cross_encoder.trainer import CrossEncoderTrainer
from stlib.cross_encoder.training_args import CrossEncoderTrainingArguments
from stlib.errors import InvalidInput
from stlib.sentence_transformer.fit_callbacks import Evaluations
from stlib.sentence_transformer.fit_options import FitOptions
from stlib.sentence_transformer.fit_rounds_trainer import train_in_rounds
from stlib.sentence_transformer.fit_training import (
    as_dataset,
    batch_size_of,
    output_folder,
    sampler_of,
)
from stlib.util.tensor import batch_to_device


class PairOptions(FitOptions):
    """The arguments of ``fit`` with one loader and one loss."""

    @staticmethod
    def arguments_class() -> type[BaseTrainingArguments]:
        """The class of the trainer's arguments."""
        return CrossEncoderTrainingArguments


def fit(model: Any, train_dataloader: Any, loss_fct: Any, activation_fct: Any, **options: Any) -> None:
    """See :meth:`FitMixin.fit`."""
    loss = _loss(model, loss_fct, activation_fct)
    given = _options(train_dataloader, loss, options)
    train, size = as_dataset(train_dataloader, keep_zeros=True), batch_size_of(train_dataloader)
    optimizer = given.optimizer(loss.named_parameters())
    total = int(len(train) // size * given.epochs)
    evaluations = Evaluations(given)
    with output_folder(None) as folder:
        trainer = CrossEncoderTrainer(
            model=model,
            args=given.training_arguments(
                folder,
                batch_sampler=sampler_of(train_dataloader),
                per_device_train_batch_size=size,
                per_device_eval_batch_size=size,
                max_grad_norm=given.max_grad_norm,
                save_strategy="no",
            ),
            train_dataset=train,
            loss=loss,
            optimizers=(optimizer, given.schedule(optimizer, total)),
            callbacks=[evaluations],
        )
        evaluations.attach(trainer)
        trainer.train()


def old_fit(model: Any, train_dataloader: Any, loss_fct: Any, activation_fct: Any, **options: Any) -> None:
    """See :meth:`FitMixin.old_fit`."""
    if loss_fct is None:
        loss_fct = nn.BCEWithLogitsLoss() if model.num_labels == 1 else nn.CrossEntropyLoss()
    loss = TokensLoss(model, loss_fct, activation_fct)
    train_in_rounds(PairRoundsTrainer, model, _options(train_dataloader, loss, options), None)


def _options(loader: Any, loss: nn.Module, options: dict[str, Any]) -> PairOptions:
    return PairOptions(
        [(loader, loss)],
        checkpoint_path=None,
        checkpoint_save_steps=0,
        checkpoint_save_total_limit=0,
        **options,
    )


def _loss(model: Any, loss_fct: Any, activation_fct: Any) -> nn.Module:
    if loss_fct is not None:
        return PairsLoss(model, loss_fct, activation_fct)
    if model.num_labels == 1:
        return BinaryCrossEntropyLoss(model, activation_fn=activation_fct)
    return CrossEntropyLoss(model, activation_fn=activation_fct)


class TokensLoss(nn.Module):
    """A function of logits and labels as a loss on pairs that are tokens already.

    Args:
        model: gives the logits.
        loss_fct: of logits ``[n]`` (``[n, labels]`` for several labels) and labels ``[n]``.
        activation_fct: applied to the logits first.
    """

    def __init__(
        self,
        model: Any,
        loss_fct: Callable[[Tensor, Tensor], Tensor],
        activation_fct: Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__()
        self.model = model
        self.loss_fct = loss_fct
        self.activation_fct = activation_fct
        self.num_labels = model.num_labels

    def forward(self, features: list[Any], labels: Tensor) -> Tensor:
        """The loss of one batch, whose only features are those of the pairs."""
        logits = self.activation_fct(self.model(features[0])["scores"])
        if self.num_labels == 1:
            return self.loss_fct(logits.view(-1), labels.float())
        return self.loss_fct(logits, labels.long())


class PairsLoss(TokensLoss):
    """The same on two columns of texts."""

    def forward(self, features: list[Any], labels: Tensor) -> Tensor:
        """The loss of one batch.

        Raises:
            InvalidInput: there are not two columns.
        """
        if len(features) != 2:
            raise InvalidInput(f"the examples have {len(features)} texts each; fit wants two, a pair")
        tokens = self.model.preprocess(list(zip(*features, strict=True)))
        return super().forward([batch_to_device(tokens, labels.device)], labels)
