"""Trains a retriever on questions and the passages that answer them, with hard negatives it mines itself.

    python -m stlib.recipes.msmarco --train msmarco --eval msmarco --eval-split dev --output model

Data: folders in BEIR layout (corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv), or tables with anchor,
positive. Negatives are passages that the model finds near a question and that are not judged to answer it;
those nearly as near as the answer are left out, as they often answer it too. ``margin_mse`` has the model
copy how much better a labeller finds the answer than the negative; the labeller is a stronger bi-encoder,
for instance the one training starts from.

Where few questions are judged, ``--titles`` adds every document's title as a question that its text answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datasets import Dataset
from torch import nn

from stlib import SentenceTransformer, SentenceTransformerTrainer, losses
from stlib.recipes._common import Outcome, parser, train_and_save, training_arguments
from stlib.recipes._data import Collection, read_collection, read_titles, retrieval_evaluator
from stlib.recipes._inputs import place, run
from stlib.recipes._labels import score_pairs
from stlib.recipes._numbers import number, positive
from stlib.util import mine_hard_negatives


def main(argv: Sequence[str] | None = None, labeller: Any = None) -> Outcome:
    made = parser(__doc__, train="BEIR folder or table with anchor, positive", evaluate="data as for --train")
    made.add_argument("--train-split", default="train", help="judgments to train on (default: train)")
    made.add_argument("--eval-split", default="test", help="judgments to evaluate on (default: test)")
    made.add_argument("--loss", choices=("mnrl", "margin_mse"), default="mnrl", help="(default: mnrl)")
    made.add_argument(
        "--labeller", type=place, help="model that scores pairs for margin_mse (default: --model)"
    )
    made.add_argument("--negatives", type=positive, default=3, help="mined for each pair (default: 3)")
    made.add_argument(
        "--margin",
        type=number,
        default=0.05,
        help="a negative's score is below the answer's by this part (0.05)",
    )
    made.add_argument("--titles", action="store_true", help="also learn to find documents by their titles")
    options = made.parse_args(argv)

    model = SentenceTransformer(options.model)
    collection = read_collection(options.train, options.train_split)
    loss: nn.Module
    if options.loss == "mnrl":
        train = mine(model, collection, options, output_format="n-tuple")
        loss = losses.MultipleNegativesRankingLoss(model)
    else:
        triplets = mine(model, collection, options, output_format="triplet")
        train = with_margins(triplets, labeller or SentenceTransformer(options.labeller or options.model))
        loss = losses.MarginMSELoss(model)
    datasets, functions = {"judged": train}, {"judged": loss}
    if options.titles:
        datasets["titles"] = read_titles(options.train)
        functions["titles"] = losses.MultipleNegativesRankingLoss(model)
    trainer = SentenceTransformerTrainer(
        model=model,
        args=training_arguments(options, batch_sampler="no_duplicates"),
        train_dataset=datasets,
        loss=functions,
    )
    return train_and_save(trainer, retrieval_evaluator(options.eval, split=options.eval_split), options)


def mine(model: Any, collection: Collection, options: Any, output_format: str) -> Dataset:
    """Pairs with negatives out of the 50 passages nearest to the question."""
    pairs = collection.pairs()
    return mine_hard_negatives(
        pairs.select(range(min(options.limit or len(pairs), len(pairs)))),
        model,
        corpus=list(collection.corpus.values()),
        anchor_column_name="anchor",
        positive_column_name="positive",
        range_max=50,
        relative_margin=options.margin,
        num_negatives=options.negatives,
        output_format=output_format,
        batch_size=options.batch_size,
        verbose=False,
    )


def with_margins(triplets: Dataset, labeller: Any) -> Dataset:
    """The triplets with label = the labeller's score of the positive less that of the negative."""
    anchors = triplets["anchor"][:]
    positive = score_pairs(labeller, list(zip(anchors, triplets["positive"], strict=True)))
    negative = score_pairs(labeller, list(zip(anchors, triplets["negative"], strict=True)))
    return triplets.add_column("label", [p - n for p, n in zip(positive, negative, strict=True)])


if __name__ == "__main__":
    run(main)
