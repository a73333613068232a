"""Semantic-textual-similarity data: pairs of sentences with a score."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from stlib.errors import InvalidOption
from stlib.sentence_transformer.readers.input_example import InputExample
from stlib.sentence_transformer.readers.text_files import column, parse_field, rows_of_csv


class STSDataReader:
    """Reads files with two sentences and a score in each row, packed with gzip or not.

    Args:
        dataset_folder: where the files are.
        s1_col_idx: column of the first sentence, from 0.
        s2_col_idx: column of the second one.
        score_col_idx: column of the score.
        delimiter: between columns.
        quoting: how fields are quoted, a constant of :mod:`csv`. By default a quote is a character like any
            other, since sentences have unpaired ones.
        normalize_scores: bring scores from ``min_score`` ... ``max_score`` to 0 ... 1, what losses of cosine
            similarity want.
        min_score: the lowest score there is.
        max_score: the highest.

    Raises:
        InvalidOption: the scores to be normalized have no range.
    """

    def __init__(
        self,
        dataset_folder: str,
        s1_col_idx: int = 0,
        s2_col_idx: int = 1,
        score_col_idx: int = 2,
        delimiter: str = "\t",
        quoting: Any = csv.QUOTE_NONE,
        normalize_scores: bool = True,
        min_score: float = 0,
        max_score: float = 5,
    ) -> None:
        if normalize_scores and min_score == max_score:
            raise InvalidOption(
                f"min_score and max_score are both {min_score}; scores cannot be normalized by a range of 0"
            )
        self.dataset_folder = dataset_folder
        self.s1_col_idx = s1_col_idx
        self.s2_col_idx = s2_col_idx
        self.score_col_idx = score_col_idx
        self.delimiter = delimiter
        self.quoting = quoting
        self.normalize_scores = normalize_scores
        self.min_score = min_score
        self.max_score = max_score

    def get_examples(self, filename: str, max_examples: int = 0) -> list[InputExample]:
        """One example per row of the file, at most ``max_examples`` (0: all).

        Raises:
            InvalidInput: a row has too few columns, or its score is no number.
        """
        path = Path(self.dataset_folder) / filename
        examples = []
        for number, row in enumerate(rows_of_csv(path, self.delimiter, self.quoting)):
            score = parse_field(column(row, self.score_col_idx, path, number), float, path, number)
            if self.normalize_scores:
                score = (score - self.min_score) / (self.max_score - self.min_score)
            texts = [column(row, index, path, number) for index in (self.s1_col_idx, self.s2_col_idx)]
            examples.append(InputExample(f"{filename}{number}", texts, score))
            if len(examples) == max_examples:
                break
        return examples


class STSBenchmarkDataReader(STSDataReader):
    """An :class:`STSDataReader` for the STS benchmark: sentences in columns 5 and 6, the score in 4."""

    def __init__(
        self,
        dataset_folder: str,
        s1_col_idx: int = 5,
        s2_col_idx: int = 6,
        score_col_idx: int = 4,
        delimiter: str = "\t",
        quoting: Any = csv.QUOTE_NONE,
        normalize_scores: bool = True,
        min_score: float = 0,
        max_score: float = 5,
    ) -> None:
        super().__init__(
            dataset_folder,
            s1_col_idx,
            s2_col_idx,
            score_col_idx,
            delimiter,
            quoting,
            normalize_scores,
            min_score,
            max_score,
        )
