"""Trains a transformer whose first layers alone give good embeddings, so that later ones can be left out.

    python -m stlib.recipes.adaptive_layers --train sts-train.csv --eval sts-test.csv \\
        --output model --keep-layers 3

Data: tables with sentence1, sentence2, score (CoSENT inside) or anchor, positive[, negative] (ranking
inside). With ``--keep-layers`` the model is cut to so many layers before it is evaluated and saved;
evaluation before training cuts a copy of the untrained model likewise, so both figures are those of a model
of the same speed.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from stlib import SentenceTransformer, SentenceTransformerTrainer, losses
from stlib.evaluation import SentenceEvaluator
from stlib.recipes._common import Outcome, parser, train_and_save, training_arguments
from stlib.recipes._data import read_scored_or_pairs, similarity_evaluator
from stlib.recipes._inputs import run
from stlib.recipes._layers import keep_layers
from stlib.recipes._numbers import positive


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(
        __doc__,
        train="table with scores or pairs",
        evaluate="table with sentence1, sentence2, score",
        epochs=4,
    )
    made.add_argument("--keep-layers", type=positive, metavar="N", help="cut the model to its first N layers")
    options = made.parse_args(argv)

    model = SentenceTransformer(options.model)
    train = read_scored_or_pairs(options.train, limit=options.limit)
    scored = "score" in train.column_names
    inner = losses.CoSENTLoss(model) if scored else losses.MultipleNegativesRankingLoss(model)
    trainer = SentenceTransformerTrainer(
        model=model,
        args=training_arguments(options),
        train_dataset=train,
        loss=losses.AdaptiveLayerLoss(model, inner),
    )
    evaluator = similarity_evaluator(options.eval)
    if not options.keep_layers:
        return train_and_save(trainer, evaluator, options)
    kept = range(options.keep_layers)
    return train_and_save(
        trainer,
        evaluator and CutEvaluator(evaluator, kept),
        options,
        before_saving=lambda trained: keep_layers(trained, kept),
    )


class CutEvaluator(SentenceEvaluator):
    """Evaluates a copy of the model that has only some of its layers."""

    def __init__(self, evaluator: SentenceEvaluator, layers: Sequence[int]) -> None:
        super().__init__()
        self.evaluator, self.layers = evaluator, layers

    def __call__(self, model: Any, *args: Any, **options: Any) -> dict[str, float] | float:
        smaller = copy.deepcopy(model)
        keep_layers(smaller, self.layers)
        metrics = self.evaluator(smaller, *args, **options)
        self.primary_metric = self.evaluator.primary_metric
        return metrics


if __name__ == "__main__":
    run(main)
