"""In which order batches of several datasets are taken."""

from __future__ import annotations

from collections.abc import Iterator

from torch.utils.data import SubsetRandomSampler

from stlib.base.samplers.base import MultiDatasetDefaultBatchSampler


class RoundRobinBatchSampler(MultiDatasetDefaultBatchSampler):
    """One batch of each dataset in turn, until one of them has no batch left for a whole round.

    Each dataset weighs the same; rows of the larger ones beyond that are not seen in the epoch.
    """

    def __iter__(self) -> Iterator[list[int]]:
        self.reseed(self.generator, self.seed)
        first_rows = self.first_rows()
        # A round is asked for as a whole: a dataset that runs out ends it before any of its batches
        for batches in zip(*map(iter, self.batch_samplers), strict=False):
            for first, batch in zip(first_rows, batches, strict=True):
                yield [row + first for row in batch]

    def __len__(self) -> int:
        return min(map(len, self.batch_samplers)) * len(self.batch_samplers)


class ProportionalBatchSampler(MultiDatasetDefaultBatchSampler):
    """All batches of all datasets in random order, so that large datasets come up more often."""

    def __iter__(self) -> Iterator[list[int]]:
        self.reseed(self.generator, self.seed)
        first_rows = self.first_rows()
        turns = [number for number, sampler in enumerate(self.batch_samplers) for _ in range(len(sampler))]
        iterators = [iter(sampler) for sampler in self.batch_samplers]
        for number in SubsetRandomSampler(turns, generator=self.generator):
            # A sampler may have promised more batches than it finds
            batch = next(iterators[number], None)
            if batch is not None:
                yield [row + first_rows[number] for row in batch]

    def __len__(self) -> int:
        return sum(map(len, self.batch_samplers))
