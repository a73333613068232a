"""Natural-language-inference data: pairs of sentences and whether one follows from the other."""

from __future__ import annotations

from pathlib import Path

from stlib.errors import InvalidInput
from stlib.sentence_transformer.readers.input_example import InputExample
from stlib.sentence_transformer.readers.text_files import open_text, parse_field


class NLIDataReader:
    """Reads the files ``s1.NAME``, ``s2.NAME`` and ``labels.NAME`` of a folder, line by line.

    Args:
        dataset_folder: where the files are, packed with gzip or not.
    """

    def __init__(self, dataset_folder: str) -> None:
        self.dataset_folder = dataset_folder

    def get_examples(self, filename: str, max_examples: int = 0) -> list[InputExample]:
        """Pairs with their label as a number, at most ``max_examples`` (0: all), of e.g. ``"train.gz"``.

        Texts keep the end of their line, which tokenizers of words drop.

        Raises:
            InvalidInput: a label is none of the three, or one file has fewer lines than another.
        """
        folder = Path(self.dataset_folder)
        paths = [folder / f"{part}.{filename}" for part in ("s1", "s2", "labels")]
        examples: list[InputExample] = []
        with open_text(paths[0]) as first, open_text(paths[1]) as second, open_text(paths[2]) as labels:
            try:
                for number, (text, other, label) in enumerate(zip(first, second, labels, strict=True)):
                    value = parse_field(label, self.map_label, paths[2], number)
                    examples.append(InputExample(f"{filename}-{number}", [text, other], value))
                    if len(examples) == max_examples:
                        break
            except InvalidInput:
                raise
            except ValueError:
                raise InvalidInput(
                    f"{', '.join(map(str, paths))} differ in their number of lines after "
                    f"{len(examples)}; they must belong together line by line"
                ) from None
        return examples

    @staticmethod
    def get_labels() -> dict[str, int]:
        """The number of each label."""
        return {"contradiction": 0, "entailment": 1, "neutral": 2}

    def get_num_labels(self) -> int:
        """How many labels there are: 3."""
        return len(self.get_labels())

    def map_label(self, label: str) -> int:
        """The number of a label, whatever its case and the space around it."""
        return self.get_labels()[label.strip().lower()]
