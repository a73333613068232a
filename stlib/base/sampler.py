"""Batch samplers: which rows make up a batch, and from which dataset the next batch comes.

The trainer gives a sampler the epoch (``set_epoch``) before it iterates; the same seed and epoch always give
the same batches.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from stlib.base.samplers.base import DefaultBatchSampler, MultiDatasetDefaultBatchSampler, SetEpochMixin
from stlib.base.samplers.labels import GroupByLabelBatchSampler
from stlib.base.samplers.mix import ProportionalBatchSampler, RoundRobinBatchSampler
from stlib.base.samplers.unique import NoDuplicatesBatchSampler
from stlib.errors import InvalidOption


class _NamedOption(str, Enum):
    """A choice that may also be given as its string; a wrong string is answered with the right ones."""

    @classmethod
    def _missing_(cls, value: Any) -> Any:
        allowed = ", ".join(repr(member.value) for member in cls)
        raise InvalidOption(f"{value!r} is no valid {cls.__name__}; choose one of {allowed}")


class BatchSamplers(_NamedOption):
    """How rows of one dataset are put into batches: the training argument ``batch_sampler``.

    * ``BATCH_SAMPLER`` (default): in random order.
    * ``NO_DUPLICATES``: no text occurs twice in a batch, by :class:`NoDuplicatesBatchSampler`. For losses
      that take the other rows of a batch as negatives: ``MultipleNegativesRankingLoss``,
      ``MultipleNegativesSymmetricRankingLoss``, their cached forms, ``GISTEmbedLoss``,
      ``CachedGISTEmbedLoss`` and ``MegaBatchMarginLoss``.
    * ``NO_DUPLICATES_HASHED``: the same batches, the rows being read in several processes beforehand.
    * ``GROUP_BY_LABEL``: at least two labels with at least two rows each, by
      :class:`GroupByLabelBatchSampler`. For the ``Batch…TripletLoss`` family.

    Instead of one of these, the argument may be a subclass of :class:`DefaultBatchSampler`, or a function
    with the arguments ``dataset, batch_size, drop_last, valid_label_columns, generator, seed`` that returns
    one.
    """

    BATCH_SAMPLER = "batch_sampler"
    NO_DUPLICATES = "no_duplicates"
    NO_DUPLICATES_HASHED = "no_duplicates_hashed"
    GROUP_BY_LABEL = "group_by_label"


class MultiDatasetBatchSamplers(_NamedOption):
    """From which of several datasets the next batch comes: the argument ``multi_dataset_batch_sampler``.

    * ``PROPORTIONAL`` (default): all batches of all datasets in random order, by
      :class:`ProportionalBatchSampler`.
    * ``ROUND_ROBIN``: one of each in turn, until one runs out, by :class:`RoundRobinBatchSampler`.

    Instead of one of these, the argument may be a subclass of :class:`MultiDatasetDefaultBatchSampler`, or a
    function with the arguments ``dataset, batch_samplers, generator, seed`` that returns one.
    """

    ROUND_ROBIN = "round_robin"
    PROPORTIONAL = "proportional"


__all__ = [
    "BatchSamplers",
    "DefaultBatchSampler",
    "GroupByLabelBatchSampler",
    "MultiDatasetBatchSamplers",
    "MultiDatasetDefaultBatchSampler",
    "NoDuplicatesBatchSampler",
    "ProportionalBatchSampler",
    "RoundRobinBatchSampler",
    "SetEpochMixin",
]
