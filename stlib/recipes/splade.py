"""Trains a SPLADE model: a text becomes a few weighted words of the vocabulary, those that it lacks too.

    python -m stlib.recipes.splade --model FOLDER --train msmarco --eval msmarco --output model

Data: folders in BEIR layout (corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv), or tables with anchor,
positive[, negative]. The model is one with a masked-language head, or a sparse model to train further. It
learns to tell an answer from all passages of the batch; penalties that rise within the first third of the
training (``--document-weight``, ``--query-weight``) keep the number of words small. The figures say how many
are in use (``active_dims``) and how many multiplications a question and a passage share (``avg_flops``).

Weights depend on model, data and batch: with too large ones all words vanish, so raise them step by step
until ``active_dims`` is what an index should hold. ``--mini-batch-size`` allows batches of hundreds of rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from stlib import SparseEncoder
from stlib.recipes._common import Outcome, parser
from stlib.recipes._data import read_pairs
from stlib.recipes._inputs import run
from stlib.recipes._sparse import add_penalty_options, penalised, train_sparse
from stlib.sparse_encoder.losses import SparseMultipleNegativesRankingLoss


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(
        __doc__,
        train="BEIR folder or table with anchor, positive[, negative]",
        evaluate="data as for --train",
        model="distilbert/distilbert-base-uncased",
    )
    add_penalty_options(made)
    options = made.parse_args(argv)

    model = SparseEncoder(options.model)
    loss = penalised(model, SparseMultipleNegativesRankingLoss(model), options)
    return train_sparse(model, loss, read_pairs(options.train, limit=options.limit), options)


if __name__ == "__main__":
    run(main)
