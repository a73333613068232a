"""Learns from several datasets of paraphrases at once, each batch from one of them.

    python -m stlib.recipes.paraphrases \\
        --train quora=pairs.tsv nli=triplets.jsonl sts=sts-train.csv --output model

Each dataset is a table with anchor, positive and perhaps negative (in-batch negatives) or with sentence1,
sentence2, score (CoSENT). ``proportional`` draws from the datasets by their size, ``round_robin`` from each
equally often until the smallest is used up.
"""

from __future__ import annotations

from collections.abc import Sequence

from stlib import SentenceTransformer, SentenceTransformerTrainer, losses
from stlib.recipes._common import Outcome, parser, split_named, train_and_save, training_arguments
from stlib.recipes._data import read_scored_or_pairs, similarity_evaluator
from stlib.recipes._inputs import run


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(
        __doc__,
        train="tables as NAME=FILE",
        train_many=True,
        evaluate="table with sentence1, sentence2, score",
        batch_size=64,
    )
    made.add_argument("--mix", choices=("proportional", "round_robin"), default="proportional")
    options = made.parse_args(argv)

    model = SentenceTransformer(options.model)
    train = {
        name: read_scored_or_pairs(source, limit=options.limit)
        for name, source in map(split_named, options.train)
    }
    ranking, scoring = losses.MultipleNegativesRankingLoss(model), losses.CoSENTLoss(model)
    trainer = SentenceTransformerTrainer(
        model=model,
        args=training_arguments(
            options, batch_sampler="no_duplicates", multi_dataset_batch_sampler=options.mix
        ),
        train_dataset=train,
        loss={name: scoring if "score" in rows.column_names else ranking for name, rows in train.items()},
    )
    return train_and_save(trainer, similarity_evaluator(options.eval), options)


if __name__ == "__main__":
    run(main)
