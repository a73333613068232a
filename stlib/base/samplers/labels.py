"""Batches that hold several labels, several rows of each: what losses need that mine triplets in a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Any

import torch

from stlib.base.samplers.base import DefaultBatchSampler
from stlib.errors import InvalidInput, InvalidOption

if TYPE_CHECKING:
    from datasets import Dataset


class GroupByLabelBatchSampler(DefaultBatchSampler):
    """Each batch has at least two labels, and at least two rows of each label in it.

    The rows of each label are shuffled and handed out in pairs; in each round every label that has rows left
    gives one pair, in a new random order. The stream of pairs is cut into batches, and ends when only one
    label is left: the rest of a label far larger than the others is not seen in that epoch.

    For ``BatchAllTripletLoss``, ``BatchHardTripletLoss``, ``BatchSemiHardTripletLoss`` and
    ``BatchHardSoftMarginTripletLoss``.

    Args:
        dataset: rows with a label column.
        batch_size: rows in a batch: even, at least 4.
        drop_last: leave out a last, smaller batch. Fewer than four rows are always left out.
        valid_label_columns: names a label column may have; the first one present is the label.
        generator: source of randomness.
        seed: iterating starts the generator at ``seed + epoch``.

    Raises:
        InvalidOption: the batch size is odd or below 4.
        InvalidInput: there is no label column, or fewer than two labels have two rows.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        drop_last: bool,
        valid_label_columns: list[str] | None = None,
        generator: torch.Generator | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            dataset,
            batch_size=batch_size,
            drop_last=drop_last,
            valid_label_columns=valid_label_columns,
            generator=generator,
            seed=seed,
        )
        self.dataset = dataset
        if batch_size < 4 or batch_size % 2:
            raise InvalidOption(
                f"batch_size must be an even number >= 4 to hold two labels in pairs, but got {batch_size}"
            )
        rows_of: dict[Hashable, list[int]] = defaultdict(list)
        for row, label in enumerate(_labels(dataset, valid_label_columns)):
            rows_of[label].append(row)
        self.groups = {label: rows for label, rows in rows_of.items() if len(rows) >= 2}
        if len(self.groups) < 2:
            raise InvalidInput(
                "grouping by label needs at least 2 labels with at least 2 rows each, but of "
                f"{len(rows_of)} labels {len(self.groups)} have as many; use another batch sampler"
            )
        self._stream_length = _stream_length(self.groups)

    def __iter__(self) -> Iterator[list[int]]:
        self.reseed(self.generator, self.seed)
        # Shuffled and reversed, so that a label's next rows are popped from the end
        stacks: dict[Hashable, list[int]] = {}
        for label, rows in self.groups.items():
            order = self._permutation(len(rows))[: len(rows) // 2 * 2]
            stacks[label] = [rows[place] for place in reversed(order)]
        batch: list[int] = []
        last: Any = None
        labels = list(stacks)
        while len(labels) >= 2:
            labels = [labels[place] for place in self._permutation(len(labels))]
            # The pair before a round's first one may be in the same batch, so it must be of another label
            if batch and labels[0] == last:
                labels[0], labels[1] = labels[1], labels[0]
            for label in labels:
                stack = stacks[label]
                batch += (stack.pop(), stack.pop())
                if len(batch) == self.batch_size:
                    yield batch
                    batch = []
            last = labels[-1]
            labels = [label for label in labels if stacks[label]]
        if not self.drop_last and len(batch) >= 4:
            yield batch

    def _permutation(self, size: int) -> list[int]:
        return torch.randperm(size, generator=self.generator).tolist()

    def __len__(self) -> int:
        full, rest = divmod(self._stream_length, self.batch_size)
        return full + (not self.drop_last and rest >= 4)


def _labels(dataset: Dataset, valid_label_columns: list[str] | None) -> list[Hashable]:
    for name in valid_label_columns or []:
        if name in dataset.column_names:
            labels = dataset[name][:]
            # A dataset with a tensor format gives a tensor, whose items are no keys
            return labels.tolist() if hasattr(labels, "tolist") else list(labels)
    raise InvalidInput(
        f"grouping by label needs one of the columns {valid_label_columns}, but the dataset has only "
        f"{dataset.column_names}; rename its label column"
    )


def _stream_length(groups: dict[Hashable, list[int]]) -> int:
    """Rows handed out in an epoch: rounds end once all labels but the largest have run out of pairs."""
    pairs = sorted((len(rows) // 2 for rows in groups.values()), reverse=True)
    return 2 * sum(min(count, pairs[1]) for count in pairs)
