"""Files whose lines belong together: line 7 of one with line 7 of the others."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from stlib.sentence_transformer.readers.input_example import InputExample
from stlib.sentence_transformer.readers.text_files import open_text


class PairedFilesReader:
    """Reads the lines of several files side by side.

    Args:
        filepaths: the files, packed with gzip or not, in the order of the texts of an example.
    """

    def __init__(self, filepaths: Sequence[str]) -> None:
        self.filepaths = filepaths

    def get_examples(self, max_examples: int = 0) -> list[InputExample]:
        """One example per line, with the label 1, up to the end of the shortest file or ``max_examples``.

        Texts keep the end of their line, which tokenizers of words drop.
        """
        examples: list[InputExample] = []
        with ExitStack() as stack:
            files = [stack.enter_context(open_text(path)) for path in self.filepaths]
            for number, texts in enumerate(zip(*files, strict=False)):
                examples.append(InputExample(str(number), list(texts), 1))
                if len(examples) == max_examples:
                    break
        return examples
