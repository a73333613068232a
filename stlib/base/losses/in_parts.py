"""A loss over all rows of a batch as a sum over parts of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from tqdm import trange

Part = Callable[[list[Tensor], int, int], Tensor]


def sum_in_parts(
    embeddings: Sequence[Tensor],
    part: Part,
    rows: int,
    step: int,
    *,
    with_backward: bool = False,
    show_progress_bar: bool = False,
) -> Tensor:
    """Sum of ``part(embeddings, begin, end)`` over all rows, ``step`` rows at a time.

    With ``with_backward`` each part is propagated back at once, so that the graph of one part is alive at a
    time, and the sum has no graph. What led to the embeddings, such as gathering them from other processes,
    is gone through once at the end.
    """
    leaves = [whole.detach().requires_grad_() for whole in embeddings] if with_backward else list(embeddings)
    total: Tensor | None = None
    for begin in trange(0, rows, step, desc="Calculate loss", disable=not show_progress_bar):
        value = part(leaves, begin, min(begin + step, rows))
        if with_backward:
            value.backward()
            value = value.detach()
        total = value if total is None else total + value
    if with_backward:
        used = [(whole, leaf.grad) for whole, leaf in zip(embeddings, leaves, strict=True)]
        known = [(whole, gradient) for whole, gradient in used if gradient is not None]
        torch.autograd.backward([whole for whole, _ in known], [gradient for _, gradient in known])
    return torch.zeros(()) if total is None else total
