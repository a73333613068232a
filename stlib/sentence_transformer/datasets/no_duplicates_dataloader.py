"""Batches of examples in which no text occurs twice."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from stlib.errors import InvalidInput
from stlib.sentence_transformer.readers.input_example import InputExample


class NoDuplicatesDataLoader:
    """Shuffled batches for ``MultipleNegativesRankingLoss``: no text is a negative of itself.

    Texts are compared without case and surrounding space. Examples go round and round, shuffled after each
    round by Python's global random state; one that does not fit into a batch is skipped in this round. The
    given list stays in its order.

    Args:
        train_examples: the examples.
        batch_size: examples in a batch.
    """

    def __init__(self, train_examples: list[InputExample], batch_size: int) -> None:
        self.batch_size = batch_size
        self.data_pointer = 0
        self.collate_fn: Callable[[list[InputExample]], Any] | None = None
        self.train_examples = list(train_examples)
        random.shuffle(self.train_examples)

    def __iter__(self) -> Iterator[Any]:
        """One epoch of batches, collated if there is a ``collate_fn``.

        Raises:
            InvalidInput: the examples have too few different texts to fill a batch.
        """
        for _ in range(len(self)):
            batch = self._next_batch()
            yield batch if self.collate_fn is None else self.collate_fn(batch)

    def __len__(self) -> int:
        return len(self.train_examples) // self.batch_size

    def _next_batch(self) -> list[InputExample]:
        batch: list[InputExample] = []
        seen: set[str] = set()
        skipped = 0
        while len(batch) < self.batch_size:
            example = self._next_example()
            texts = {str(text).strip().lower() for text in example.texts}
            if seen.isdisjoint(texts):
                batch.append(example)
                seen |= texts
                skipped = 0
                continue
            skipped += 1
            # The round may have begun anew on the way, so only two rounds are sure to have all examples
            if skipped > 2 * len(self.train_examples):
                raise InvalidInput(
                    f"a batch of {self.batch_size} examples without a common text cannot be made: after "
                    f"{len(batch)} every other example shares one; lower the batch size"
                )
        return batch

    def _next_example(self) -> InputExample:
        example = self.train_examples[self.data_pointer]
        self.data_pointer += 1
        if self.data_pointer == len(self.train_examples):
            self.data_pointer = 0
            random.shuffle(self.train_examples)
        return example
