"""Learns embeddings from texts alone: most words are deleted and must be restored from the embedding (TSDAE).

    python -m stlib.recipes.tsdae --model bert-base-uncased --train texts.txt --eval sts-dev.csv \\
        --output model

Data: plain texts, one per line; ten thousand are enough for a start. Words are deleted anew in every epoch.
The transformer reads and, with a head for words, writes, so it has to be one that can do both, such as
BERT. Wang et al. 2021 (https://arxiv.org/abs/2104.06979) take the embedding of the first token: ``--pooling
cls``.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from datasets import Dataset

from stlib import SentenceTransformer, SentenceTransformerTrainer, losses
from stlib.models import Pooling
from stlib.recipes._common import Outcome, parser, seed_everything, train_and_save, training_arguments
from stlib.recipes._data import read_texts, similarity_evaluator
from stlib.recipes._inputs import place, run
from stlib.recipes._numbers import part


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(
        __doc__,
        train="texts, one per line",
        evaluate="table with sentence1, sentence2, score",
        model="google-bert/bert-base-uncased",
        batch_size=8,
        learning_rate=3e-5,
    )
    made.add_argument(
        "--deleted", type=part, default=0.6, help="part of the words that is deleted (default: 0.6)"
    )
    made.add_argument("--pooling", choices=("cls", "mean"), help="(default: as the model has it)")
    made.add_argument(
        "--decoder", type=place, help="model that restores the texts (default: the model itself, tied to it)"
    )
    options = made.parse_args(argv)

    seed_everything(options.seed)
    model = SentenceTransformer(options.model)
    if options.pooling:
        transformer: Any = model[0]
        pooling = Pooling(transformer.get_embedding_dimension(), options.pooling)
        model = SentenceTransformer(modules=[transformer, pooling])
    loss = losses.DenoisingAutoEncoderLoss(
        model,
        decoder_name_or_path=options.decoder or options.model,
        tie_encoder_decoder=not options.decoder,
    )
    trainer = SentenceTransformerTrainer(
        model=model,
        args=training_arguments(options),
        train_dataset=damage(read_texts(options.train, limit=options.limit), options.deleted),
        loss=loss,
    )
    return train_and_save(trainer, similarity_evaluator(options.eval), options)


def damage(texts: list[str], part: float) -> Dataset:
    """Rows (damaged text, text), damaged anew whenever they are read."""
    dataset = Dataset.from_dict({"text": texts})

    def damage(batch: dict[str, list[str]]) -> dict[str, list[str]]:
        return {"damaged": [delete_words(text, part) for text in batch["text"]], "text": batch["text"]}

    dataset.set_transform(damage, columns=["text"], output_all_columns=True)
    return dataset


def delete_words(text: str, part: float) -> str:
    """The text without a random part of its words; one word is always left."""
    words = text.split()
    kept = [word for word in words if random.random() > part]  # noqa: S311 - no secret is drawn
    return " ".join(kept or random.sample(words, min(1, len(words))))


if __name__ == "__main__":
    run(main)
