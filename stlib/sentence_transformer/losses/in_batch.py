"""The embeddings of a batch whose other rows serve as negatives, on one process or gathered from several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stlib.errors import InvalidInput
from stlib.util.distributed import all_gather_with_grad, get_rank


@dataclass(frozen=True)
class Batch:
    """Columns ``[rows of all processes, d]``: anchors, positives and any hard negatives."""

    columns: list[Tensor]
    offset: int
    """Where the rows of this process begin."""
    size: int
    """Rows of this process."""

    @classmethod
    def of(
        cls, columns: Sequence[Tensor], gather_across_devices: bool, loss: str, with_anchors: bool = True
    ) -> Batch:
        """The columns of this process, or of all; with or without the anchors of others.

        Raises:
            InvalidInput: there are no pairs.
        """
        if len(columns) < 2:
            raise InvalidInput(
                f"{loss} takes columns (anchor, positive, …), and got {len(columns)}: add a positive"
            )
        size = len(columns[0])
        if not gather_across_devices:
            return cls(list(columns), 0, size)
        own = 0 if with_anchors else 1
        gathered = [*columns[:own], *map(all_gather_with_grad, columns[own:])]
        # Without a group of processes there is nothing to gather, and the rank is 0.
        return cls(gathered, get_rank() * size, size)

    @property
    def world_size(self) -> int:
        """Rows of all processes."""
        return len(self.columns[1])

    def own(self, begin: int, end: int) -> Tensor:
        """Places ``[end - begin]`` of rows of this process among all rows."""
        return torch.arange(self.offset + begin, self.offset + end, device=self.columns[0].device)

    def own_mask(self, begin: int, end: int) -> Tensor:
        """True where a column of all rows is the row itself: ``[end - begin, rows of all processes]``."""
        everyone = torch.arange(self.world_size, device=self.columns[0].device)
        return everyone == self.own(begin, end).unsqueeze(1)
