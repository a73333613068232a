"""Trains a classifier of natural language inference: what a premise says about a hypothesis.

    python -m stlib.recipes.cross_encoder_nli --train nli.jsonl --eval nli-dev.jsonl \\
        --model distilbert/distilroberta-base --output model

Data: tables with premise, hypothesis, label; labels are entailment, neutral and contradiction, or 0, 1 and
2, and rows with other labels (-1, ``-``) are left out. The figure is the mean F1 of the three classes.
"""

from __future__ import annotations

from collections.abc import Sequence

from stlib import CrossEncoder
from stlib.cross_encoder.evaluation import CrossEncoderClassificationEvaluator
from stlib.cross_encoder.losses import CrossEntropyLoss
from stlib.cross_encoder.trainer import CrossEncoderTrainer
from stlib.cross_encoder.training_args import CrossEncoderTrainingArguments
from stlib.recipes._common import Outcome, arguments_of, parser, seed_everything, train_and_save
from stlib.recipes._inputs import run
from stlib.recipes.nli import LABELS, read_labelled


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(
        __doc__,
        train="table with premise, hypothesis, label",
        evaluate="table as for --train",
        model="distilbert/distilroberta-base",
    )
    options = made.parse_args(argv)

    seed_everything(options.seed)  # a model without a head gets a random one
    model = CrossEncoder(options.model, num_labels=len(LABELS))
    model.config.id2label = dict(enumerate(LABELS))
    model.config.label2id = {label: number for number, label in enumerate(LABELS)}
    trainer = CrossEncoderTrainer(
        model=model,
        args=arguments_of(CrossEncoderTrainingArguments, options),
        train_dataset=read_labelled(options.train, options.limit),
        loss=CrossEntropyLoss(model),
    )
    return train_and_save(trainer, classification_evaluator(options.eval), options)


def classification_evaluator(source: str | None) -> CrossEncoderClassificationEvaluator | None:
    if source is None:
        return None
    rows = read_labelled(source, None)
    pairs = list(zip(rows["premise"], rows["hypothesis"], strict=True))
    return CrossEncoderClassificationEvaluator(pairs, rows["label"][:], name="nli", write_csv=False)


if __name__ == "__main__":
    run(main)
