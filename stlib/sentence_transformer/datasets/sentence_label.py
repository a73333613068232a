"""A stream of examples in which several of the same label follow one another."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from torch.utils.data import IterableDataset

from stlib.sentence_transformer.readers.input_example import InputExample

logger = logging.getLogger(__name__)


class SentenceLabelDataset(IterableDataset):
    """Draws ``samples_per_label`` random examples of one label, then of the next, until an epoch is full.

    For losses that need several examples of a label in a batch, such as ``BatchHardTripletLoss``; the batch
    size should be a multiple of ``samples_per_label``. Labels with fewer examples are left out. Labels come
    in random order, each once in a round; a label comes again, with all its examples, in the next round.
    Randomness is numpy's global one.

    Args:
        examples: examples with a label.
        samples_per_label: examples drawn of a label at a time, all different.
        with_replacement: kept for its name. A label is drawn once in a round, from all its examples, so there
            is nothing to put back.
    """

    def __init__(
        self, examples: list[InputExample], samples_per_label: int = 2, with_replacement: bool = False
    ) -> None:
        super().__init__()
        self.samples_per_label = samples_per_label
        self.with_replacement = with_replacement
        by_label: defaultdict[object, list[InputExample]] = defaultdict(list)
        for example in examples:
            by_label[example.label].append(example)
        self._groups = [group for group in by_label.values() if len(group) >= samples_per_label]
        self.grouped_inputs = [example for group in self._groups for example in group]
        self.label_range = np.arange(len(self._groups))
        np.random.shuffle(self.label_range)
        logger.info(
            "%d of %d examples are used, with %d labels that have at least %d",
            len(self.grouped_inputs),
            len(examples),
            len(self._groups),
            samples_per_label,
        )

    def __iter__(self) -> Iterator[InputExample]:
        drawn, wanted = 0, len(self.grouped_inputs)
        while drawn < wanted:
            for label in self.label_range:
                if drawn >= wanted:
                    return
                group = self._groups[label]
                for place in np.random.choice(len(group), self.samples_per_label, replace=False):
                    yield group[place]
                drawn += self.samples_per_label
            np.random.shuffle(self.label_range)

    def __len__(self) -> int:
        return len(self.grouped_inputs)
