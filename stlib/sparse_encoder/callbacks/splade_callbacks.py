"""Let the penalties of SPLADE's loss rise slowly: too strong at first, and embeddings die at once."""

from __future__ import annotations

import logging
from enum import Enum
from typing import Any

from transformers.trainer_callback import TrainerCallback

from stlib.errors import InvalidOption
from stlib.sparse_encoder.losses.splade import SpladeLoss
from stlib.util.names import describe_value

logger = logging.getLogger(__name__)

_DEFAULT_RATIO = 1 / 3


class SchedulerType(Enum):
    """How weights rise: in proportion to the steps, or to their square."""

    LINEAR = "linear"
    QUADRATIC = "quadratic"


class SpladeRegularizerWeightSchedulerCallback(TrainerCallback):
    """Raise both weights of a :class:`~stlib.sparse_encoder.losses.SpladeLoss` from 0 to what they are.

    At step t of T steps of warm-up a weight is ``(t / T)`` or ``(t / T)²`` of its maximum, and the maximum
    from then on. The current weights stand in the log as ``document_regularizer_weight`` and
    ``query_regularizer_weight``.

    Args:
        loss: the loss whose weights are set; its weights at this moment are the maxima.
        scheduler_type: ``"linear"`` or ``"quadratic"``, which leaves a model more time before it is pressed.
        warmup_ratio: share of all steps after which the maxima are reached.

    Raises:
        InvalidOption: ``loss`` is none of SPLADE.

    Example::

        scheduler = SpladeRegularizerWeightSchedulerCallback(loss, scheduler_type="linear", warmup_ratio=0.5)
        SparseEncoderTrainer(model=model, train_dataset=data, loss=loss, callbacks=[scheduler]).train()
    """

    def __init__(
        self,
        loss: SpladeLoss,
        scheduler_type: str | SchedulerType = SchedulerType.QUADRATIC,
        warmup_ratio: float = _DEFAULT_RATIO,
    ) -> None:
        super().__init__()
        if not isinstance(loss, SpladeLoss):
            raise InvalidOption(
                f"the loss of SpladeRegularizerWeightSchedulerCallback is {describe_value(loss)}; it must be "
                "a SpladeLoss or CachedSpladeLoss, as others have no such weights"
            )
        self.loss = loss
        self.scheduler_type = _scheduler_type(scheduler_type)
        self.warmup_ratio = _warmup_ratio(warmup_ratio)
        self.max_document_regularizer_weight = loss.document_regularizer_weight
        self.max_query_regularizer_weight = loss.query_regularizer_weight
        self.total_steps: int | None = None
        self.warmup_steps: int | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Count the steps of the warm-up, and begin it (or go on, if a training is resumed)."""
        self.total_steps = state.max_steps
        self.warmup_steps = max(int(state.max_steps * self.warmup_ratio), 1)
        self._set_weights(state.global_step)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Set the weights for a step."""
        self._set_weights(state.global_step)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any
    ) -> None:
        """Add the current weights to what is logged."""
        if logs is None or self.warmup_steps is None:
            return
        logs["document_regularizer_weight"] = self.loss.document_regularizer_weight
        if self.loss.query_regularizer_weight is not None:
            logs["query_regularizer_weight"] = self.loss.query_regularizer_weight

    def _set_weights(self, step: int) -> None:
        if self.warmup_steps is None:
            return
        share = min(step / self.warmup_steps, 1.0)
        if self.scheduler_type is SchedulerType.QUADRATIC:
            share = share**2
        self.loss.document_regularizer_weight = self.max_document_regularizer_weight * share
        if self.max_query_regularizer_weight is not None:
            self.loss.query_regularizer_weight = self.max_query_regularizer_weight * share


def _scheduler_type(given: Any) -> SchedulerType:
    if isinstance(given, SchedulerType):
        return given
    try:
        return SchedulerType(str(given).lower())
    except ValueError:
        logger.warning(
            "scheduler_type is %r; allowed are: %s. The weights rise by 'quadratic'",
            given,
            ", ".join(repr(one.value) for one in SchedulerType),
        )
        return SchedulerType.QUADRATIC


def _warmup_ratio(given: float) -> float:
    if 0 < given <= 1:
        return given
    logger.warning(
        "warmup_ratio is %s; it must lie above 0 and at most at 1. A third of all steps is taken", given
    )
    return _DEFAULT_RATIO
