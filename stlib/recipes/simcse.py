"""Learns embeddings from texts alone: a text is its own positive, seen twice through different dropout
(SimCSE).

    python -m stlib.recipes.simcse --train texts.txt --eval sts-dev.csv --output model

Data: plain texts, one per line. The other texts of the batch are the negatives. Dropout is what makes both
embeddings of a text differ, so the model must have some (``--dropout`` sets it). Gao et al. 2021,
https://arxiv.org/abs/2104.08821.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset

from stlib import SentenceTransformer, SentenceTransformerTrainer, losses
from stlib.recipes._common import Outcome, parser, train_and_save, training_arguments
from stlib.recipes._data import read_texts, similarity_evaluator
from stlib.recipes._inputs import run
from stlib.recipes._numbers import part, positive_number


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(
        __doc__,
        train="texts, one per line",
        evaluate="table with sentence1, sentence2, score",
        batch_size=64,
    )
    made.add_argument("--dropout", type=part, default=0.1, help="(default: 0.1)")
    made.add_argument(
        "--scale", type=positive_number, default=20.0, help="one over the temperature (default: 20)"
    )
    options = made.parse_args(argv)

    model = SentenceTransformer(options.model)
    set_dropout(model, options.dropout)
    texts = read_texts(options.train, limit=options.limit)
    trainer = SentenceTransformerTrainer(
        model=model,
        # Both columns hold the same text, so only rows are compared; a text given twice is left out here.
        args=training_arguments(options, dataloader_drop_last=len(texts) > options.batch_size),
        train_dataset=twice(texts),
        loss=losses.MultipleNegativesRankingLoss(model, scale=options.scale),
    )
    return train_and_save(trainer, similarity_evaluator(options.eval), options)


def twice(texts: list[str]) -> Dataset:
    """Each text once, as anchor and as positive."""
    different = list(dict.fromkeys(texts))
    return Dataset.from_dict({"anchor": different, "positive": different})


def set_dropout(model: Any, probability: float) -> None:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = probability


if __name__ == "__main__":
    run(main)
