"""Adapts a retriever to a corpus with questions that a machine wrote for its passages (GenQ and GPL).

    python -m stlib.recipes.gpl --train FOLDER --eval TEST --labeller STRONGER --output model

Data: a folder in BEIR layout whose ``qrels/generated.tsv`` says which question of ``queries.jsonl`` was
written for which passage, or a table with anchor, positive. ``genq`` takes every question as answered by
its passage and nothing else. ``gpl``, the default, trusts them less: it mines passages near the question
and has a labeller say how much better the passage answers it than each of them, which the model learns
(Wang et al. 2022, https://arxiv.org/abs/2112.07577). Cross-encoders label best; a stronger bi-encoder does
as well for a start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from stlib import SentenceTransformer, SentenceTransformerTrainer, losses
from stlib.recipes._common import Outcome, parser, train_and_save, training_arguments
from stlib.recipes._data import read_collection, retrieval_evaluator
from stlib.recipes._inputs import place, run
from stlib.recipes._numbers import positive
from stlib.recipes.msmarco import mine, with_margins


def main(argv: Sequence[str] | None = None, labeller: Any = None) -> Outcome:
    made = parser(
        __doc__, train="BEIR folder or table with anchor, positive", evaluate="data with real questions"
    )
    made.add_argument("--train-split", default="generated", help="judgments to train on (default: generated)")
    made.add_argument("--eval-split", default="test", help="judgments to evaluate on (default: test)")
    made.add_argument("--method", choices=("gpl", "genq"), default="gpl", help="(default: gpl)")
    made.add_argument("--labeller", type=place, help="model that scores pairs for gpl (default: --model)")
    made.add_argument("--negatives", type=positive, default=5, help="mined for each question (default: 5)")
    options = made.parse_args(argv)
    options.margin = None  # the labeller, not the retriever, tells negatives from answers

    model = SentenceTransformer(options.model)
    collection = read_collection(options.train, options.train_split)
    loss: nn.Module
    if options.method == "genq":
        train = collection.pairs()
        loss = losses.MultipleNegativesRankingLoss(model)
    else:
        triplets = mine(model, collection, options, output_format="triplet")
        train = with_margins(triplets, labeller or SentenceTransformer(options.labeller or options.model))
        loss = losses.MarginMSELoss(model)
    trainer = SentenceTransformerTrainer(
        model=model,
        args=training_arguments(options, batch_sampler="no_duplicates"),
        train_dataset=train,
        loss=loss,
    )
    return train_and_save(trainer, retrieval_evaluator(options.eval, split=options.eval_split), options)


if __name__ == "__main__":
    run(main)
