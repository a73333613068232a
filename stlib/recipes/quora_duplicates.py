"""Finds questions that were asked before: two losses trained together on duplicate questions.

    python -m stlib.recipes.quora_duplicates --train train.tsv --eval test.tsv --output model

Data: tables with question1, question2, is_duplicate (0 or 1). The online contrastive loss sees all pairs
and learns the threshold between duplicates and others; the ranking loss sees duplicates only and learns to
put them before all else. Reported is the average precision of telling duplicates from other pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

from datasets import Dataset

from stlib import SentenceTransformer, SentenceTransformerTrainer, losses
from stlib.evaluation import BinaryClassificationEvaluator
from stlib.recipes._common import Outcome, parser, train_and_save, training_arguments
from stlib.recipes._data import read_rows
from stlib.recipes._inputs import run
from stlib.recipes._numbers import positive_number


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(
        __doc__,
        train="table with question1, question2, is_duplicate",
        evaluate="table as for --train",
        batch_size=64,
    )
    made.add_argument(
        "--margin",
        type=positive_number,
        default=0.5,
        help="cosine distance others should keep (default: 0.5)",
    )
    options = made.parse_args(argv)

    model = SentenceTransformer(options.model)
    pairs = read(options.train, "train", options.limit)
    trainer = SentenceTransformerTrainer(
        model=model,
        args=training_arguments(options, batch_sampler="no_duplicates"),
        train_dataset={"pairs": pairs, "duplicates": duplicates(pairs)},
        loss={
            "pairs": losses.OnlineContrastiveLoss(model, margin=options.margin),
            "duplicates": losses.MultipleNegativesRankingLoss(model),
        },
    )
    return train_and_save(trainer, evaluator(options.eval), options)


def read(source: str, split: str, limit: int | None = None) -> Dataset:
    return read_rows(source, {"sentence1": str, "sentence2": str, "label": int}, split=split, limit=limit)


def duplicates(pairs: Dataset) -> Dataset:
    """Columns anchor, positive."""
    chosen = pairs.filter(lambda label: label == 1, input_columns="label").remove_columns("label")
    return chosen.rename_columns({"sentence1": "anchor", "sentence2": "positive"})


def evaluator(source: str | None) -> BinaryClassificationEvaluator | None:
    if source is None:
        return None
    rows = read(source, "test")
    return BinaryClassificationEvaluator(
        rows["sentence1"][:], rows["sentence2"][:], rows["label"][:], name="duplicates", write_csv=False
    )


if __name__ == "__main__":
    run(main)
