"""Trains a model that reads two sentences together and says how alike they are.

    python -m stlib.recipes.cross_encoder_sts --train sts-train.csv --eval sts-test.csv \\
        --model distilbert/distilroberta-base --output model

Data: tables with the columns sentence1, sentence2, score, or the files of the STS benchmark as they come.
The figure is Spearman's correlation of the model's scores with those given.
"""

from __future__ import annotations

from collections.abc import Sequence

from stlib import CrossEncoder
from stlib.cross_encoder.evaluation import CrossEncoderCorrelationEvaluator
from stlib.cross_encoder.losses import BinaryCrossEntropyLoss
from stlib.cross_encoder.trainer import CrossEncoderTrainer
from stlib.cross_encoder.training_args import CrossEncoderTrainingArguments
from stlib.recipes._common import Outcome, arguments_of, parser, seed_everything, train_and_save
from stlib.recipes._data import read_similarities
from stlib.recipes._inputs import run


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(
        __doc__,
        train="table with sentence1, sentence2, score",
        evaluate="table as for --train",
        model="distilbert/distilroberta-base",
        epochs=4,
    )
    options = made.parse_args(argv)

    seed_everything(options.seed)  # a model without a head gets a random one
    model = CrossEncoder(options.model, num_labels=1)
    trainer = CrossEncoderTrainer(
        model=model,
        args=arguments_of(CrossEncoderTrainingArguments, options),
        train_dataset=read_similarities(options.train, limit=options.limit),
        loss=BinaryCrossEntropyLoss(model),
    )
    return train_and_save(trainer, correlation_evaluator(options.eval), options)


def correlation_evaluator(source: str | None) -> CrossEncoderCorrelationEvaluator | None:
    if source is None:
        return None
    rows = read_similarities(source, split="test")
    pairs = list(zip(rows["sentence1"], rows["sentence2"], strict=True))
    return CrossEncoderCorrelationEvaluator(pairs, rows["score"][:], name="sts", write_csv=False)


if __name__ == "__main__":
    run(main)
