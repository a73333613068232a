"""What every batch sampler here has in common: an epoch, a seed, and what it samples from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import BatchSampler, ConcatDataset

from stlib.errors import InvalidOption
from stlib.util.lists import refuse_text

if TYPE_CHECKING:
    from datasets import Dataset


class SetEpochMixin:
    """A sampler that is told the epoch: each epoch has an order of its own, the same in each run."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """The number of the epoch that the next iteration belongs to, from 0; the trainer calls this."""
        self.epoch = epoch

    def reseed(self, generator: torch.Generator | None, seed: int | None) -> None:
        """Start ``generator`` at ``seed + epoch``; without one, the order is torch's global one."""
        if generator is not None and seed is not None:
            generator.manual_seed(seed + self.epoch)


class DefaultBatchSampler(SetEpochMixin, BatchSampler):
    """Batches of consecutive items of ``dataset``, as torch's own ``BatchSampler`` makes them.

    To make batches in another way, subclass this and give the class (not an instance) to the training
    arguments as ``batch_sampler``.

    Args:
        dataset: rows, or a sampler of their numbers (the trainer gives a random one).
        batch_size: rows in a batch.
        drop_last: leave out a last batch with fewer rows.
        valid_label_columns: names a label column may have; the first one present is the label.
        generator: source of randomness of samplers that shuffle.
        seed: iterating starts the generator at ``seed + epoch`` in samplers that shuffle.
    """

    def __init__(
        self,
        dataset: Dataset | Iterable[int],
        batch_size: int,
        drop_last: bool,
        valid_label_columns: list[str] | None = None,
        generator: torch.Generator | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(dataset, batch_size=batch_size, drop_last=drop_last)
        refuse_text(valid_label_columns=valid_label_columns)
        self.valid_label_columns = valid_label_columns
        self.generator = generator
        self.seed = seed


class MultiDatasetDefaultBatchSampler(SetEpochMixin, BatchSampler, ABC):
    """Base of samplers that take whole batches from several datasets in some order; each batch is of one.

    Subclass it with ``__iter__`` and ``__len__``, and give the class (not an instance) to the training
    arguments as ``multi_dataset_batch_sampler``.

    Args:
        dataset: the datasets, one after the other.
        batch_samplers: one for each of them, in the same order.
        generator: source of randomness.
        seed: iterating starts the generator at ``seed + epoch``.

    Raises:
        InvalidOption: there is not one batch sampler for each dataset.
    """

    def __init__(
        self,
        dataset: ConcatDataset,
        batch_samplers: list[BatchSampler],
        generator: torch.Generator | None = None,
        seed: int = 0,
    ) -> None:
        if len(dataset.datasets) != len(batch_samplers):
            raise InvalidOption(
                f"{len(batch_samplers)} batch samplers came for {len(dataset.datasets)} datasets; give "
                "one for each"
            )
        first = batch_samplers[0]
        super().__init__(dataset, batch_size=first.batch_size, drop_last=first.drop_last)
        self.dataset = dataset
        self.batch_samplers = batch_samplers
        self.generator = generator
        self.seed = seed

    def set_epoch(self, epoch: int) -> None:
        """Tell the epoch to the batch samplers too."""
        super().set_epoch(epoch)
        for sampler in self.batch_samplers:
            if hasattr(sampler, "set_epoch"):
                sampler.set_epoch(epoch)

    def first_rows(self) -> list[int]:
        """The number, in the concatenation, of the first row of each dataset."""
        sizes = [len(dataset) for dataset in self.dataset.datasets]  # type: ignore[arg-type]
        return [0, *accumulate(sizes[:-1])]

    @abstractmethod
    def __iter__(self) -> Iterator[list[int]]:
        """Batches of row numbers of the concatenation."""

    @abstractmethod
    def __len__(self) -> int:
        """How many batches an epoch has."""
