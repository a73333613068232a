"""Finds learning rate, batch size and number of epochs by trying them; needs ``pip install optuna``.

    python -m stlib.recipes.hyperparameter_search --train sts-train.csv --dev sts-dev.csv \\
        --eval sts-test.csv --trials 20 --output model

Data: tables with sentence1, sentence2, score, or the files of the STS benchmark. Each trial trains a fresh
model and is judged on ``--dev``; then a model is trained with the best of them and, if ``--eval`` is given,
measured there.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from datasets import Dataset

from stlib import SentenceTransformer, SentenceTransformerTrainer, losses
from stlib.recipes._common import Outcome, parser, say, train_and_save, training_arguments
from stlib.recipes._data import read_similarities, similarity_evaluator
from stlib.recipes._inputs import place, run
from stlib.recipes._numbers import positive


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(__doc__, train="table with sentence1, sentence2, score", evaluate="table as for --train")
    made.add_argument(
        "--dev", type=place, required=True, metavar="DATA", help="table that trials are judged on"
    )
    made.add_argument("--trials", type=positive, default=20, help="(default: 20)")
    options = made.parse_args(argv)

    train = read_similarities(options.train, limit=options.limit)
    best = search(train, options)
    say(f"best: {best}")
    model = SentenceTransformer(options.model)
    trainer = SentenceTransformerTrainer(
        model=model,
        args=training_arguments(options, **best),
        train_dataset=train,
        loss=losses.CoSENTLoss(model),
    )
    return train_and_save(trainer, similarity_evaluator(options.eval), options)


def search(train: Dataset, options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of the trainer that gave the best Spearman on the development set."""
    trainer = SentenceTransformerTrainer(
        model=None,
        model_init=lambda trial: SentenceTransformer(options.model),
        args=training_arguments(options, eval_strategy="no"),
        train_dataset=train,
        loss=losses.CoSENTLoss,  # made anew for the model of each trial
        evaluator=similarity_evaluator(options.dev, name="dev"),
    )
    run: Any = trainer.hyperparameter_search(
        hp_space=space,
        compute_objective=lambda metrics: metrics["eval_dev_spearman_cosine"],
        n_trials=options.trials,
        direction="maximize",
        backend="optuna",
    )
    return run.hyperparameters


def space(trial: Any) -> dict[str, Any]:
    return {
        "learning_rate": trial.suggest_float("learning_rate", 5e-6, 1e-4, log=True),
        "per_device_train_batch_size": trial.suggest_categorical("per_device_train_batch_size", [16, 32, 64]),
        "num_train_epochs": trial.suggest_int("num_train_epochs", 1, 4),
    }


if __name__ == "__main__":
    run(main)
