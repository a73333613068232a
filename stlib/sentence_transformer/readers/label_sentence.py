"""Files with a label and a sentence in each line."""

from __future__ import annotations

from pathlib import Path

from stlib.sentence_transformer.readers.input_example import InputExample
from stlib.sentence_transformer.readers.text_files import column, open_text


class LabelSentenceReader:
    """Reads lines with a label and a sentence, for losses that group rows by label.

    Labels become numbers from 0, in the order in which they are first seen; ``label_map`` says which, and
    goes on from one file to the next.

    Args:
        folder: where the files are.
        label_col_idx: column of the label, from 0.
        sentence_col_idx: column of the sentence.
        separator: between columns.
    """

    def __init__(
        self, folder: str, label_col_idx: int = 0, sentence_col_idx: int = 1, separator: str = "\t"
    ) -> None:
        self.folder = folder
        self.label_map: dict[str, int] = {}
        self.label_col_idx = label_col_idx
        self.sentence_col_idx = sentence_col_idx
        self.separator = separator

    def get_examples(self, filename: str, max_examples: int = 0) -> list[InputExample]:
        """One example per line of the file, at most ``max_examples`` (0: all).

        Raises:
            InvalidInput: a line has too few columns.
        """
        path = Path(self.folder) / filename
        examples = []
        with open_text(path) as file:
            for number, line in enumerate(file):
                columns = line.strip().split(self.separator)
                label = column(columns, self.label_col_idx, path, number)
                sentence = column(columns, self.sentence_col_idx, path, number)
                label_id = self.label_map.setdefault(label, len(self.label_map))
                examples.append(InputExample(f"{filename}-{number}", [sentence], label_id))
                if len(examples) == max_examples:
                    break
        return examples
