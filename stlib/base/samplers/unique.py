"""Batches in which no text occurs twice, so that no negative of a batch is somebody's positive.

Going through the rows in random order, each batch takes the next rows that share nothing with it and leaves
the others to later batches. Done literally, every batch walks again over all rows left behind before it. The
same batches come out when each row in turn is put into the first batch that has room and shares no value with
it, and that batch is found without a walk: for each value that several rows have, a disjoint-set forest
(Tarjan, "Efficiency of a Good But Not Linear Set Union Algorithm", 1975) jumps over the batches that hold it.
"""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from stlib.base.samplers.base import DefaultBatchSampler
from stlib.base.samplers.values import Shared, find_shared_values, hash_values

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)

# How often the rows are gone through again when duplicates left an epoch short of batches
_MAX_EXTRA_PASSES = 2
_CHUNK_ROWS = 8192
_REPEATS = "duplicates leave %d of %d batches of an epoch; the other %d (%.1f%%) repeat rows of earlier ones"
_TOO_FEW = (
    "%d of %d batches could be made without duplicates: the dataset has too few different values for a batch "
    "size of %d; lower it"
)


class NoDuplicatesBatchSampler(DefaultBatchSampler):
    """No value of a batch's rows occurs in another row of the batch, in whichever column.

    For losses that take the other rows of a batch as negatives. Values are compared as text (``str``), lists
    as a whole, pictures and other objects by content; label columns and ``dataset_name`` do not count. None
    is a value too. Each row comes at most once per epoch, except that with ``drop_last`` and many duplicates
    the rows are gone through again, at most twice, until the epoch has the batches that its length says.

    Args:
        dataset: the rows.
        batch_size: rows in a batch.
        drop_last: leave out batches with fewer rows. Without it, duplicates can make more batches than
            ``len`` says, the last ones smaller.
        valid_label_columns: names of label columns, which are not compared.
        generator: source of randomness.
        seed: iterating starts the generator at ``seed + epoch``.
        precompute_hashes: read the rows in several processes. The batches are the same; it pays for large
            datasets and for pictures and sounds, which take long to read.
        precompute_num_proc: how many processes; by default one fewer than there are cores, at most 8.
        precompute_batch_size: rows that are read at a time.

    Rows are read once, at the first iteration, as one 64-bit number per value; the numbers of values that
    occur in several rows are kept. Two different texts have the same number once in some 10^19 pairs; a row
    would then wait for a later batch.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        drop_last: bool,
        valid_label_columns: list[str] | None = None,
        generator: torch.Generator | None = None,
        seed: int = 0,
        precompute_hashes: bool = False,
        precompute_num_proc: int | None = None,
        precompute_batch_size: int = 1000,
    ) -> None:
        super().__init__(
            dataset,
            batch_size=batch_size,
            drop_last=drop_last,
            valid_label_columns=valid_label_columns,
            generator=generator,
            seed=seed,
        )
        labels = set(dataset.column_names) & set(valid_label_columns or [])
        self.dataset = dataset.remove_columns(sorted(labels)) if labels else dataset
        self.precompute_hashes = precompute_hashes
        if precompute_hashes and precompute_num_proc is None:
            precompute_num_proc = max(1, min(8, (os.cpu_count() or 1) - 1))
        self.precompute_num_proc = precompute_num_proc
        self.precompute_batch_size = precompute_batch_size
        self._shared: Shared | None = None
        self._told: set[str] = set()

    def __iter__(self) -> Iterator[list[int]]:
        self.reseed(self.generator, self.seed)
        if not len(self.dataset):
            return
        expected, found = len(self), 0
        for batch in self._one_pass():
            yield batch
            found += 1
        if found >= expected:
            return
        if found:
            self._tell(_REPEATS, found, expected, expected - found, 100 * (expected - found) / expected)
            for _ in range(_MAX_EXTRA_PASSES):
                for batch in self._one_pass():
                    yield batch
                    found += 1
                    if found == expected:
                        return
        self._tell(_TOO_FEW, found, expected, self.batch_size)

    def __len__(self) -> int:
        """Batches there would be without duplicates; counting the true number takes a whole pass."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def _one_pass(self) -> Iterator[list[int]]:
        n_rows = len(self.dataset)
        # Part of what makes the order: permutations of 32 and 64 bits differ
        dtype = torch.int32 if n_rows <= np.iinfo(np.int32).max else torch.int64
        order = torch.randperm(n_rows, generator=self.generator, dtype=dtype).numpy()
        if self._shared is None:
            num_proc = self.precompute_num_proc if self.precompute_hashes else None
            self._shared = find_shared_values(hash_values(self.dataset, self.precompute_batch_size, num_proc))
        return pack(order, self._shared, self.batch_size, self.drop_last)

    def _tell(self, message: str, *figures: float) -> None:
        # Each of them once, not in every epoch
        if message not in self._told:
            self._told.add(message)
            logger.warning(message, *figures)


def pack(order: np.ndarray, shared: Shared, batch_size: int, drop_last: bool) -> Iterator[list[int]]:
    """Batches of the rows ``order``: each row in the first batch with room and none of the row's values."""
    batches: list[list[int]] = []
    given = 0
    # A batch number that is a key cannot take the row; the value is a later batch that may
    full: dict[int, int] = {}
    holding: defaultdict[int, dict[int, int]] = defaultdict(dict)
    for row, values in _with_values(order, shared):
        place = _next_free(full, given)
        if values:
            place = _first_without(values, holding, full, place)
        if place == len(batches):
            batches.append([])
        batches[place].append(row)
        for value in values:
            holding[value][place] = place + 1
        if len(batches[place]) == batch_size:
            full[place] = place + 1
            while given in full:
                yield batches[given]
                batches[given] = []
                given += 1
    for batch in batches[given:]:
        if len(batch) == batch_size or not drop_last:
            yield batch


def _with_values(order: np.ndarray, shared: Shared) -> Iterator[tuple[int, list[int]]]:
    for start in range(0, len(order), _CHUNK_ROWS):
        rows = order[start : start + _CHUNK_ROWS]
        starts, stops = shared.offsets[rows], shared.offsets[rows + 1]
        for row, first, last in zip(rows.tolist(), starts.tolist(), stops.tolist(), strict=True):
            yield row, shared.values[first:last].tolist() if last > first else []


def _first_without(
    values: list[int], holding: dict[int, dict[int, int]], full: dict[int, int], place: int
) -> int:
    """The first batch from ``place`` on that has room and holds none of the values."""
    while True:
        start = place
        for value in values:
            place = _next_free(holding[value], place)
        place = _next_free(full, place)
        if place == start:
            return place


def _next_free(after: dict[int, int], place: int) -> int:
    """The first number from ``place`` on that is no key of ``after``, whose chains this shortens."""
    end = place
    while end in after:
        end = after[end]
    while place != end:
        after[place], place = end, after[place]
    return end
