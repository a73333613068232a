"""Adapts a model to a field in two steps: masked words in its texts, then pairs that belong together.

    python -m stlib.recipes.adaptive_pretraining --texts texts.txt --train pairs.tsv \\
        --eval test.tsv --output model

Data: plain texts of the field, one per line; and tables with anchor, positive[, negative] of any field (or
a BEIR folder). The first step teaches the words, the second what makes texts alike. Reported is how well
the anchors of ``--eval`` find their positives, before the first step and after the second.
"""

from __future__ import annotations

from collections.abc import Sequence

from stlib import SentenceTransformer, SentenceTransformerTrainer, losses
from stlib.recipes._common import Outcome, measure, parser, train_and_save, training_arguments
from stlib.recipes._data import read_pairs, read_texts, retrieval_evaluator
from stlib.recipes._inputs import place, run
from stlib.recipes.mlm import add_masking, pretrain


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(__doc__, train="BEIR folder or table with anchor, positive", evaluate="data as for --train")
    made.add_argument(
        "--texts", type=place, required=True, metavar="DATA", help="texts of the field, one per line"
    )
    add_masking(made)
    options = made.parse_args(argv)

    model = SentenceTransformer(options.model)
    evaluator = retrieval_evaluator(options.eval)
    before = measure(evaluator, model, "before both steps")
    pretrain(model, read_texts(options.texts), options)
    trainer = SentenceTransformerTrainer(
        model=model,
        args=training_arguments(options, batch_sampler="no_duplicates"),
        train_dataset=read_pairs(options.train, limit=options.limit),
        loss=losses.MultipleNegativesRankingLoss(model),
    )
    return train_and_save(trainer, evaluator, options)._replace(before=before)


if __name__ == "__main__":
    run(main)
