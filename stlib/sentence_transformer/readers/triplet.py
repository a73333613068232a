"""Triplets: an anchor, a text close to it and one far from it."""

from __future__ import annotations

import csv
from itertools import islice
from pathlib import Path
from typing import Any

from stlib.sentence_transformer.readers.input_example import InputExample
from stlib.sentence_transformer.readers.text_files import column, rows_of_csv


class TripletReader:
    """Reads files with three texts in each row, packed with gzip or not.

    Args:
        dataset_folder: where the files are.
        s1_col_idx: column of the anchor, from 0.
        s2_col_idx: column of the positive.
        s3_col_idx: column of the negative.
        has_header: leave out the first row.
        delimiter: between columns.
        quoting: how fields are quoted, a constant of :mod:`csv`; by default a quote is a character like any
            other.
    """

    def __init__(
        self,
        dataset_folder: str,
        s1_col_idx: int = 0,
        s2_col_idx: int = 1,
        s3_col_idx: int = 2,
        has_header: bool = False,
        delimiter: str = "\t",
        quoting: Any = csv.QUOTE_NONE,
    ) -> None:
        self.dataset_folder = dataset_folder
        self.s1_col_idx = s1_col_idx
        self.s2_col_idx = s2_col_idx
        self.s3_col_idx = s3_col_idx
        self.has_header = has_header
        self.delimiter = delimiter
        self.quoting = quoting

    def get_examples(self, filename: str, max_examples: int = 0) -> list[InputExample]:
        """One example per row of the file, at most ``max_examples`` (0: all).

        Raises:
            InvalidInput: a row has too few columns.
        """
        path = Path(self.dataset_folder) / filename
        rows = enumerate(rows_of_csv(path, self.delimiter, self.quoting))
        if self.has_header:
            next(rows, None)
        columns = (self.s1_col_idx, self.s2_col_idx, self.s3_col_idx)
        return [
            InputExample(texts=[column(row, index, path, number) for index in columns])
            for number, row in islice(rows, max_examples or None)
        ]
