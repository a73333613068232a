"""A list of examples as a torch dataset; kept for scripts that wrap their examples in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.utils.data import Dataset

if TYPE_CHECKING:
    from stlib.sentence_transformer.readers.input_example import InputExample


class SentencesDataset(Dataset):
    """Examples as they are; a ``DataLoader`` takes a plain list just as well.

    Args:
        examples: the examples.
        model: not needed.
    """

    def __init__(self, examples: list[InputExample], model: Any) -> None:
        self.examples = examples

    def __getitem__(self, item: int) -> InputExample:
        return self.examples[item]

    def __len__(self) -> int:
        return len(self.examples)
