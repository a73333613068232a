"""Learns embeddings from texts alone: two copies of a model must agree on a text and on no other (CT).

    python -m stlib.recipes.ct --train texts.txt --eval sts-dev.csv --output model

Data: plain texts, one per line. Two encoders start equal and are trained apart. Each text is paired with
itself and with others: all others of the batch (the default, a stronger signal), or ``--sampled`` random
ones, one pair of equal texts to every seven of different ones. Carlsson et al. 2021,
https://openreview.net/forum?id=Ov_sMNau-PF.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from datasets import Dataset
from torch import nn

from stlib import SentenceTransformer, SentenceTransformerTrainer, losses
from stlib.recipes._common import Outcome, parser, train_and_save, training_arguments
from stlib.recipes._data import read_texts, similarity_evaluator
from stlib.recipes._inputs import run


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(
        __doc__,
        train="texts, one per line",
        evaluate="table with sentence1, sentence2, score",
    )
    made.add_argument(
        "--sampled", action="store_true", help="random other texts in place of all of the batch"
    )
    options = made.parse_args(argv)

    model = SentenceTransformer(options.model)
    texts = list(dict.fromkeys(read_texts(options.train, limit=options.limit)))
    loss: nn.Module
    if options.sampled:
        train = sample_pairs(texts, options.seed)
        loss = losses.ContrastiveTensionLoss(model)
    else:
        train = Dataset.from_dict({"text1": texts, "text2": texts})
        loss = losses.ContrastiveTensionLossInBatchNegatives(model)
    trainer = SentenceTransformerTrainer(
        model=model, args=training_arguments(options), train_dataset=train, loss=loss
    )
    return train_and_save(trainer, similarity_evaluator(options.eval), options)


def sample_pairs(texts: list[str], seed: int, negatives: int = 7) -> Dataset:
    """Each text with itself and with `negatives` random others; equal texts are what the loss takes as
    alike."""
    draw = random.Random(seed)  # noqa: S311 - no secret is drawn
    rows = [(text, other) for text in texts for other in (text, *draw.choices(texts, k=negatives))]
    return Dataset.from_dict({"text1": [a for a, _ in rows], "text2": [b for _, b in rows]})


if __name__ == "__main__":
    run(main)
