"""Trains embeddings that can be cut short: the first dimensions alone are good embeddings too.

    python -m stlib.recipes.matryoshka --train sts-train.csv --eval sts-test.csv \\
        --dims 384 192 96 48 --output model

Data: tables with sentence1, sentence2, score (CoSENT inside) or anchor, positive[, negative] (ranking
inside). ``--two-dimensional`` also trains earlier layers, so that layers can be left out as well (see
``adaptive_layers``). Every dimension is evaluated; the figure before and after is their mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stlib import SentenceTransformer, SentenceTransformerTrainer, losses
from stlib.evaluation import SequentialEvaluator
from stlib.recipes._common import Outcome, mean, parser, train_and_save, training_arguments
from stlib.recipes._data import read_scored_or_pairs, similarity_evaluator
from stlib.recipes._inputs import run
from stlib.recipes._numbers import positive


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(
        __doc__,
        train="table with scores or pairs",
        evaluate="table with sentence1, sentence2, score",
        epochs=4,
    )
    made.add_argument("--dims", type=positive, nargs="+", help="(default: all, halved down to an eighth)")
    made.add_argument("--two-dimensional", action="store_true", help="train earlier layers as well")
    made.add_argument(
        "--keep-dim", type=positive, help="the saved model cuts its embeddings to so many dimensions"
    )
    options = made.parse_args(argv)

    model = SentenceTransformer(options.model)
    size = model.get_embedding_dimension() or 0
    dims = options.dims or [size // part for part in (1, 2, 4, 8)]
    train = read_scored_or_pairs(options.train, limit=options.limit)
    scored = "score" in train.column_names
    inner = losses.CoSENTLoss(model) if scored else losses.MultipleNegativesRankingLoss(model)
    outer = losses.Matryoshka2dLoss if options.two_dimensional else losses.MatryoshkaLoss
    trainer = SentenceTransformerTrainer(
        model=model,
        args=training_arguments(options),
        train_dataset=train,
        loss=outer(model, inner, matryoshka_dims=dims),
    )

    def cut(trained: SentenceTransformer) -> None:
        trained.truncate_dim = options.keep_dim or trained.truncate_dim

    return train_and_save(trainer, every_dimension(options.eval, dims), options, before_saving=cut)


def every_dimension(source: str | None, dims: list[int]) -> SequentialEvaluator | None:
    if source is None:
        return None
    evaluators: list[Any] = [
        similarity_evaluator(source, name=f"sts-{dim}", truncate_dim=dim) for dim in dims
    ]
    return SequentialEvaluator(evaluators, main_score_function=mean)


if __name__ == "__main__":
    run(main)
