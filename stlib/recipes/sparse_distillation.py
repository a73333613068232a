"""Trains a SPLADE model on the scores of a reranker, which knows better which passage answers a question.

    python -m stlib.recipes.sparse_distillation --teacher RERANKER --model FOLDER --train msmarco \\
        --eval msmarco --output model

Data: folders in BEIR layout, or tables with anchor, positive. Negatives are passages that a bi-encoder
(``--retriever``) finds near a question and that are not judged to answer it. The model copies by how much
the teacher finds the answer better than each negative (``margin_mse``), or how likely it finds each of them
(``kl``). Penalties keep the number of words small, as in the recipe ``splade``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from stlib import SparseEncoder
from stlib.recipes._common import Outcome, parser
from stlib.recipes._data import read_collection
from stlib.recipes._inputs import place, run
from stlib.recipes._labels import read_teacher, with_scores
from stlib.recipes._numbers import positive_number
from stlib.recipes._reranking import add_mining_options, mine
from stlib.recipes._sparse import add_penalty_options, penalised, train_sparse
from stlib.sparse_encoder.losses import SparseDistillKLDivLoss, SparseMarginMSELoss


def main(argv: Sequence[str] | None = None, teacher: Any = None) -> Outcome:
    made = parser(
        __doc__,
        train="BEIR folder or table with anchor, positive",
        evaluate="data as for --train",
        model="distilbert/distilbert-base-uncased",
    )
    made.add_argument(
        "--teacher", type=place, required=teacher is None, help="folder or hub id of a reranker"
    )
    made.add_argument(
        "--loss", choices=("margin_mse", "kl"), default="margin_mse", help="(default: margin_mse)"
    )
    made.add_argument(
        "--teacher-temperature",
        type=positive_number,
        default=1.0,
        help="of kl: its scores are divided by (1.0)",
    )
    add_mining_options(made)
    add_penalty_options(made)
    options = made.parse_args(argv)

    model = SparseEncoder(options.model)
    collection = read_collection(options.train, options.train_split)
    teacher = teacher or read_teacher(options.teacher)
    train = with_scores(mine(collection, options, "n-tuple"), teacher, options.batch_size)
    inner: nn.Module
    if options.loss == "kl":
        inner = SparseDistillKLDivLoss(model, teacher_temperature=options.teacher_temperature)
    else:
        inner = SparseMarginMSELoss(model)
    return train_sparse(model, penalised(model, inner, options), train, options, split=options.eval_split)


if __name__ == "__main__":
    run(main)
