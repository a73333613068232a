"""Learns sentence embeddings from natural language inference (premise, hypothesis, label).

    python -m stlib.recipes.nli --train nli.jsonl --eval sts-dev.csv --output model
    python -m stlib.recipes.nli --train sentence-transformers/all-nli:pair-class --loss softmax \\
        --output model

Labels are entailment, neutral and contradiction, or 0, 1 and 2; rows with other labels (-1, ``-``) are left
out. ``mnrl`` makes a triplet of each entailment with a contradiction of the same premise as hard negative,
which gives the better embeddings; ``softmax`` classifies the pair as the first Sentence-BERT did.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

from datasets import Dataset
from torch import nn

from stlib import SentenceTransformer, SentenceTransformerTrainer, losses
from stlib.errors import InvalidOption
from stlib.recipes._common import Outcome, parser, train_and_save, training_arguments
from stlib.recipes._data import read_rows, similarity_evaluator
from stlib.recipes._inputs import run

LABELS = ("entailment", "neutral", "contradiction")


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(
        __doc__,
        train="table with premise, hypothesis, label",
        evaluate="table with sentence1, sentence2, score",
        batch_size=64,
    )
    made.add_argument("--loss", choices=("mnrl", "softmax"), default="mnrl", help="(default: mnrl)")
    options = made.parse_args(argv)

    model = SentenceTransformer(options.model)
    rows = read_labelled(options.train, options.limit)
    loss: nn.Module
    if options.loss == "softmax":
        train = rows
        loss = losses.SoftmaxLoss(model, model.get_embedding_dimension(), num_labels=len(LABELS))
        args = training_arguments(options)
    else:
        train = triplets(rows)
        loss = losses.MultipleNegativesRankingLoss(model)
        # A premise that stands twice in a batch would be its own negative
        args = training_arguments(options, batch_sampler="no_duplicates")
    trainer = SentenceTransformerTrainer(model=model, args=args, train_dataset=train, loss=loss)
    return train_and_save(trainer, similarity_evaluator(options.eval), options)


def read_labelled(source: str, limit: int | None) -> Dataset:
    """Columns premise, hypothesis and label as its number."""
    columns: dict[str, Callable[[Any], Any]] = {"premise": str, "hypothesis": str, "label": _label}
    rows = read_rows(source, columns, limit=limit)
    return rows.filter(lambda label: label >= 0, input_columns="label")


def _label(value: str | int) -> int:
    """0, 1 or 2; -1 for pairs that the annotators did not agree on."""
    if value in LABELS:
        return LABELS.index(str(value))
    if value in ("-", ""):
        return -1
    number = int(value)
    if not -1 <= number < len(LABELS):
        raise ValueError(value)
    return number


def triplets(rows: Dataset) -> Dataset:
    """(premise, entailed, contradicting) for each entailment whose premise has a contradiction too."""
    by_premise: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        by_premise[row["premise"]][row["label"]].append(row["hypothesis"])
    found = [
        (premise, positive, negative)
        for premise, hypotheses in by_premise.items()
        if hypotheses[2]
        for positive, negative in zip(hypotheses[0], cycle(hypotheses[2]), strict=False)
    ]
    if not found:
        raise InvalidOption(
            "no premise has both an entailment and a contradiction; train with --loss softmax"
        )
    anchors, positives, negatives = zip(*found, strict=True)
    return Dataset.from_dict({"anchor": anchors, "positive": positives, "negative": negatives})


if __name__ == "__main__":
    run(main)
