"""Find the positive among many documents of the batch, scored in mini-batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from stlib.base.losses.feature_rows import Ranges, check_mini_batches
from stlib.base.losses.random_state import RandContext
from stlib.base.losses.replay import replay_backward
from stlib.cross_encoder.losses.multiple_negatives_ranking import MultipleNegativesRankingLoss
from stlib.cross_encoder.predicting import score_features


class CachedMultipleNegativesRankingLoss(MultipleNegativesRankingLoss):
    """``MultipleNegativesRankingLoss`` in the memory of a mini-batch, for large batches and many negatives.

    Value and gradients are the same; all pairs are scored twice, which takes more time. First without a
    graph; then the loss is propagated back as far as the scores, whose gradients are kept; and when it is
    propagated back further, each mini-batch is scored again, with the same random numbers.

    Args:
        model, num_negatives, scale, activation_fn: see :class:`MultipleNegativesRankingLoss`.
        mini_batch_size: pairs scored at a time. It decides on memory and speed, not on the result.
        show_progress_bar: over mini-batches.

    Raises:
        InvalidOption: an option has no meaning, the model is no ``CrossEncoder``, or has several labels.
        InvalidInput: when called with fewer than two columns.

    References:
        - Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup",
          arXiv:2101.06983
        - Henderson et al., "Efficient Natural Language Response Suggestion for Smart Reply",
          arXiv:1705.00652, section 4.4

    Inputs:
        ==============================================  ========  ====================
        Columns                                         Labels    Labels of the model
        ==============================================  ========  ====================
        (anchor, positive)                              none      1
        (anchor, positive, negative)                    none      1
        (anchor, positive, negative_1, …, negative_n)   none      1
        ==============================================  ========  ====================

        As with the plain form, batches should not hold a text twice.

    Relations:
        - :class:`MultipleNegativesRankingLoss` is the plain form.

    Example::

        loss = losses.CachedMultipleNegativesRankingLoss(model, num_negatives=16, mini_batch_size=32)
        args = CrossEncoderTrainingArguments("out", per_device_train_batch_size=1024)
        CrossEncoderTrainer(model=model, args=args, train_dataset=train_dataset, loss=loss).train()
    """

    uses_gradient_cache = True

    def __init__(
        self,
        model: Any,
        num_negatives: int | None = 4,
        scale: float = 10.0,
        activation_fn: nn.Module | None = nn.Sigmoid(),  # noqa: B008 - without state
        mini_batch_size: int = 32,
        show_progress_bar: bool = False,
    ) -> None:
        check_mini_batches(mini_batch_size, None)
        super().__init__(model, num_negatives=num_negatives, scale=scale, activation_fn=activation_fn)
        self.mini_batch_size = mini_batch_size
        self.show_progress_bar = show_progress_bar

    def forward(
        self,
        inputs: list[Any],
        labels: Tensor | None = None,
        prompt: str | None = None,
        task: str | None = None,
    ) -> Tensor:
        """The loss, which scores again when it is propagated back; with gradients off, the loss alone."""
        anchors, columns = self._candidates(inputs)
        pairs = [pair for column in columns for pair in zip(anchors, column, strict=True)]
        to_train = torch.is_grad_enabled()
        passed = list(
            self.predict_minibatch_iter(
                pairs, with_grad=False, copy_random_state=to_train, prompt=prompt, task=task
            )
        )
        logits = [part.detach().requires_grad_(to_train) for part, _ in passed]
        if not to_train:
            return self.calculate_loss(logits, len(anchors))
        loss, cache = self.calculate_loss_and_cache_gradients(logits, len(anchors))
        # All pairs are one column of the second pass.
        column = {"pairs": pairs, "prompt": prompt, "task": task}
        states = [state for _, state in passed]

        def second_pass(grad_output: Tensor) -> None:
            replay_backward(self, [column], [self._ranges(pairs)], [states], [cache], grad_output)

        loss.register_hook(second_pass)
        return loss

    def calculate_loss_and_cache_gradients(
        self, logits: list[Tensor], batch_size: int
    ) -> tuple[Tensor, list[Tensor]]:
        """The loss without a graph, and its gradients with respect to the logits, which are leaves."""
        loss = self.calculate_loss(logits, batch_size)
        loss.backward()
        return loss.detach().requires_grad_(), [part.grad for part in logits if part.grad is not None]

    def predict_minibatch(
        self,
        pairs: Sequence[Any],
        with_grad: bool,
        copy_random_state: bool,
        random_state: RandContext | None = None,
        prompt: str | None = None,
        task: str | None = None,
    ) -> tuple[Tensor, RandContext | None]:
        """Logits ``[n]`` of n pairs, and the random state before, if asked for.

        Args:
            random_state: draw random numbers from there on.
        """
        features = self.preprocess(pairs, prompt, task)
        with nullcontext() if random_state is None else random_state:
            # The tensors tell which device's generator counts.
            state = RandContext(*features.values()) if copy_random_state else None
            with torch.set_grad_enabled(with_grad):
                return score_features(self.model, features).reshape(-1), state

    def predict_minibatch_iter(
        self,
        pairs: Sequence[Any],
        with_grad: bool,
        copy_random_state: bool,
        random_states: Sequence[RandContext | None] | None = None,
        prompt: str | None = None,
        task: str | None = None,
    ) -> Iterator[tuple[Tensor, RandContext | None]]:
        """:meth:`predict_minibatch` of every mini-batch."""
        column = {"pairs": pairs, "prompt": prompt, "task": task}
        yield from self.embed_minibatch_iter(column, with_grad, copy_random_state, random_states)

    def embed_minibatch_iter(
        self,
        sentence_feature: dict[str, Any],
        with_grad: bool,
        copy_random_state: bool,
        random_states: Sequence[RandContext | None] | None = None,
        ranges: Ranges | None = None,
    ) -> Iterator[tuple[Tensor, RandContext | None]]:
        """As :meth:`predict_minibatch_iter`, in the form that the second pass calls.

        Args:
            sentence_feature: ``pairs``, ``prompt`` and ``task``.
            ranges: bounds of the mini-batches; default: all.
        """
        pairs, prompt, task = (sentence_feature[key] for key in ("pairs", "prompt", "task"))
        bounds = self._ranges(pairs) if ranges is None else ranges
        progress = tqdm(bounds, desc="Predict mini-batches", disable=not self.show_progress_bar)
        for i, (begin, end) in enumerate(progress):
            state = None if random_states is None else random_states[i]
            yield self.predict_minibatch(pairs[begin:end], with_grad, copy_random_state, state, prompt, task)

    def _ranges(self, pairs: Sequence[Any]) -> Ranges:
        size = self.mini_batch_size
        return [(begin, min(begin + size, len(pairs))) for begin in range(0, len(pairs), size)]

    def get_config_dict(self) -> dict[str, Any]:
        return {**super().get_config_dict(), "mini_batch_size": self.mini_batch_size}
