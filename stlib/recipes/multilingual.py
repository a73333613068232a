"""Teaches a multilingual model the embeddings that a model of one language gives, from translations.

    python -m stlib.recipes.multilingual --teacher all-MiniLM-L6-v2 --model xlm-roberta-base \\
        --train de=en-de.tsv fr=en-fr.tsv --eval dev.tsv --output model

Data: tables with english, non_english, or without a header: the English text, a tab, its translation. A
first line of language codes, such as en and de, counts as a header. The
student learns to put both where the teacher puts the English one. Reported is how often a text's
translation is the nearest among all of ``--eval``, and the distance to the teacher.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

from datasets import Dataset

from stlib import SentenceTransformer, SentenceTransformerTrainer, losses
from stlib.errors import InvalidOption
from stlib.evaluation import MSEEvaluator, SequentialEvaluator, TranslationEvaluator
from stlib.recipes._common import Outcome, first, parser, split_named, train_and_save, training_arguments
from stlib.recipes._data import read_rows
from stlib.recipes._inputs import place, run

logger = logging.getLogger(__name__)

_ENGLISH = re.compile(r"en|eng|english|en[-_]\w+")
# Language codes such as de, pt-br or zh_hant, and usual names of columns, in lower case
_HEADER = re.compile(
    r"[a-z]{2}([-_][a-z]{2,4})?|eng|english|non[-_]english|source|target|src|tgt|trg|"
    r"(source|target|src|tgt|trg)[-_]\w+|\w+[-_](text|sentence)|translation|(sentence|text)_?\d"
)


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(
        __doc__,
        train="translations as NAME=FILE",
        train_many=True,
        evaluate="table with english, non_english",
        model="FacebookAI/xlm-roberta-base",
        epochs=5,
        batch_size=64,
    )
    made.add_argument(
        "--teacher", type=place, required=True, help="folder or hub id of the model to learn from"
    )
    options = made.parse_args(argv)

    teacher, student = SentenceTransformer(options.teacher), SentenceTransformer(options.model)
    train = {
        name: with_targets(read(source, "train", options.limit), teacher, options.batch_size)
        for name, source in map(split_named, options.train)
    }
    trainer = SentenceTransformerTrainer(
        model=student,
        args=training_arguments(options),
        train_dataset=train,
        loss=losses.MSELoss(student),
    )
    return train_and_save(trainer, evaluator(options.eval, teacher), options)


def read(source: str, split: str, limit: int | None = None) -> Dataset:
    """The translations; a first line that names languages or columns is no translation.

    Such a line tells which column is the English one; the first, if it says nothing.
    """
    columns = {"english": str, "non_english": str}
    more = None if limit is None else limit + 1
    rows = read_rows(source, columns, without_header=list(columns), split=split, limit=more)
    names = [rows[0][column].strip().lower() for column in columns]
    if not all(map(_HEADER.fullmatch, names)):
        return rows.select(range(min(limit or len(rows), len(rows))))
    if len(rows) == 1:
        raise InvalidOption(f"{source} has no translation after the line {' and '.join(names)}")
    logger.warning("the first line of %s, %s, is taken for names of columns", source, " and ".join(names))
    if _ENGLISH.fullmatch(names[1]) and not _ENGLISH.fullmatch(names[0]):
        rows = rows.rename_columns({"english": "non_english", "non_english": "english"}).select_columns(
            list(columns)
        )
    return rows.select(range(1, len(rows)))


def with_targets(rows: Dataset, teacher: Any, batch_size: int) -> Dataset:
    """The rows with label = the teacher's embedding of the English text."""
    return rows.map(
        lambda batch: {"label": teacher.encode(batch["english"], batch_size=batch_size)}, batched=True
    )


def evaluator(source: str | None, teacher: Any) -> SequentialEvaluator | None:
    if source is None:
        return None
    rows = read(source, "dev")
    english, other = rows["english"][:], rows["non_english"][:]
    return SequentialEvaluator(
        [
            TranslationEvaluator(english, other, name="translation", write_csv=False),
            MSEEvaluator(english, other, teacher, name="teacher", write_csv=False),
        ],
        main_score_function=first,
    )


if __name__ == "__main__":
    run(main)
