"""The second pass of gradient caching: embed each mini-batch again and go back from its cached gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from stlib.base.losses.feature_rows import Features


def replay_backward(
    loss: Any,
    columns: list[Features],
    ranges: list[Any],
    random_states: list[Any],
    cache: list[list[Tensor]],
    grad_output: Tensor,
) -> None:
    """Add the gradients of all mini-batches to those of the model's parameters.

    Everything that belongs to one forward pass is an argument, so that a second forward pass before this
    backward pass changes nothing. A model in ``DistributedDataParallel`` adds gradients up and exchanges them
    once, with the last mini-batch.

    Args:
        loss: has a ``model`` and ``embed_minibatch_iter``, whose items begin with the embeddings.
        columns: features of each column.
        ranges: per column the bounds of its mini-batches.
        random_states: per column and mini-batch the random state of the first pass.
        cache: per column and mini-batch the gradient of the loss with respect to the embeddings.
        grad_output: gradient of the outer result with respect to the loss, which scales all.
    """
    model = getattr(loss.model, "_orig_mod", loss.model)
    left = sum(map(len, cache))
    last: tuple[Features, Any, Any] | None = None
    exchanged = False
    with torch.enable_grad():
        for column, bounds, states, gradients in zip(columns, ranges, random_states, cache, strict=True):
            again = _embed_again(loss, column, bounds, states)
            for i, gradient in enumerate(gradients):
                left -= 1
                with _exchange(model, now=left == 0):  # the forward pass has to see it too
                    reps: Tensor = next(again)[0]
                    if reps.requires_grad:  # a frozen route has none
                        reps.backward(_scale(gradient, grad_output, reps.dtype))
                        last = (column, _one(bounds, i), _one(states, i))
                        exchanged = left == 0
        if last is not None and not exchanged and _exchanges(model):
            _exchange_alone(loss, model, *last)


def _embed_again(loss: Any, column: Features, bounds: Any, states: Any) -> Iterator[tuple[Any, ...]]:
    return iter(
        loss.embed_minibatch_iter(
            sentence_feature=column,
            with_grad=True,
            copy_random_state=False,
            random_states=states,
            ranges=bounds,
        )
    )


def _scale(gradient: Tensor, grad_output: Tensor, dtype: torch.dtype) -> Tensor:
    """A product of half-precision numbers, which a gradient scaler makes large, is formed in float32."""
    wide = torch.promote_types(torch.promote_types(dtype, gradient.dtype), torch.float32)
    return (gradient.to(wide) * grad_output.to(wide)).to(dtype)


def _one(of_mini_batches: Any, i: int) -> Any:
    return None if of_mini_batches is None else [of_mini_batches[i]]


# -- exchange of gradients between processes


def _exchanges(model: Any) -> bool:
    return isinstance(model, DistributedDataParallel) and model.require_backward_grad_sync


@contextmanager
def _exchange(model: Any, now: bool) -> Iterator[None]:
    """Let a distributed model exchange gradients now, or wait; an outer ``no_sync`` always waits."""
    if not isinstance(model, DistributedDataParallel):
        yield
    elif model.static_graph and not getattr(model, "_static_graph_delay_allreduce_enqueued", True):
        # A static graph is learnt from the first backward pass, which has to be one that exchanges.
        before = model.require_backward_grad_sync
        model.require_backward_grad_sync = True
        try:
            yield
        finally:
            model.require_backward_grad_sync = before
    elif now:
        yield
    else:
        with model.no_sync():
            yield


def _exchange_alone(loss: Any, model: Any, column: Features, bounds: Any, states: Any) -> None:
    """Exchange what was added up when the last mini-batch had no gradients: by one more backward pass of
    zeros.
    """
    model.require_forward_param_sync = False  # buffers are exchanged already
    reps: Tensor = next(_embed_again(loss, column, bounds, states))[0]
    reps.backward(torch.zeros_like(reps))
