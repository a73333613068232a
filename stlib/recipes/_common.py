"""What the training recipes share: options, arguments of the trainer, figures before and after, saving."""

from __future__ import annotations

import argparse
import inspect
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch

from stlib import SentenceTransformerTrainingArguments
from stlib.base.trainer import BaseTrainer
from stlib.base.training_args import BaseTrainingArguments
from stlib.errors import InvalidOption
from stlib.evaluation import SentenceEvaluator
from stlib.recipes._inputs import place
from stlib.recipes._numbers import natural, part, positive, positive_number, seed

__all__ = [
    "Outcome",
    "arguments_of",
    "first",
    "mean",
    "measure",
    "parser",
    "say",
    "seed_everything",
    "split_named",
    "train_and_save",
    "training_arguments",
]


class Outcome(NamedTuple):
    """What a recipe reached.

    ``before`` and ``after`` are the primary metric of its evaluator, None where it had nothing to evaluate
    on; ``losses`` are those that the trainer logged, in order.
    """

    before: float | None
    after: float | None
    losses: list[float]


def parser(
    description: str | None,
    *,
    train: str,
    train_many: bool = False,
    evaluate: str | None = None,
    model: str | None = "sentence-transformers/all-MiniLM-L6-v2",
    epochs: float = 1,
    batch_size: int = 32,
    learning_rate: float = 2e-5,
) -> argparse.ArgumentParser:
    """The options of every training recipe; the arguments say what its data look like and its defaults."""
    made = argparse.ArgumentParser(
        description=inspect.cleandoc(description or ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    many = "+" if train_many else None
    made.add_argument("--train", type=place, required=True, metavar="DATA", nargs=many, help=train)
    if evaluate:
        help_ = f"{evaluate}; measured before and after training"
        made.add_argument("--eval", type=place, metavar="DATA", help=help_)
    if model:
        made.add_argument("--model", type=place, default=model, help=f"folder or hub id (default: {model})")
    made.add_argument("--output", required=True, metavar="FOLDER", help="where the trained model goes")
    made.add_argument(
        "--limit", type=positive, metavar="ROWS", help="read no more rows than this of the training data"
    )
    group = made.add_argument_group("training")
    group.add_argument(
        "--epochs", type=positive_number, default=epochs, help=f"passes over the data (default: {epochs})"
    )
    group.add_argument(
        "--max-steps", type=positive, default=-1, help="stop after so many steps, whatever the epochs"
    )
    group.add_argument(
        "--batch-size", type=positive, default=batch_size, help=f"rows per step (default: {batch_size})"
    )
    group.add_argument(
        "--learning-rate",
        type=positive_number,
        default=learning_rate,
        help=f"at its peak (default: {learning_rate})",
    )
    group.add_argument(
        "--warmup", type=part, default=0.1, help="part of the steps before the peak (default: 0.1)"
    )
    group.add_argument("--seed", type=seed, default=12)
    group.add_argument("--bf16", action="store_true", help="compute in bfloat16 where that loses nothing")
    group.add_argument("--save-steps", type=natural, default=0, help="write a checkpoint every so many steps")
    group.add_argument(
        "--resume", action="store_true", help="go on from the last checkpoint in FOLDER/checkpoints"
    )
    return made


Arguments = TypeVar("Arguments", bound=BaseTrainingArguments)


def training_arguments(options: argparse.Namespace, **changes: Any) -> SentenceTransformerTrainingArguments:
    """The trainer's arguments for the options; `changes` are those a recipe adds or sets differently."""
    return arguments_of(SentenceTransformerTrainingArguments, options, **changes)


def arguments_of(kind: type[Arguments], options: argparse.Namespace, **changes: Any) -> Arguments:
    """The same, for models of another family."""
    arguments: dict[str, Any] = {
        "output_dir": str(Path(options.output) / "checkpoints"),
        "num_train_epochs": options.epochs,
        "max_steps": options.max_steps,
        "per_device_train_batch_size": options.batch_size,
        "per_device_eval_batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "warmup_steps": options.warmup,  # below 1: a part of all steps
        "seed": options.seed,
        "bf16": options.bf16,
        "save_strategy": "steps" if options.save_steps else "no",
        "save_steps": options.save_steps or 500,
        "save_total_limit": 2,
        "logging_steps": 0.05,  # twenty lines, however long it takes
        "report_to": "none",
    }
    return kind(**{**arguments, **changes})


def train_and_save(
    trainer: BaseTrainer,
    evaluator: SentenceEvaluator | None,
    options: argparse.Namespace,
    before_saving: Callable[[Any], object] | None = None,
) -> Outcome:
    """Measures, trains, measures again and saves the model to the output folder.

    `before_saving` is called with the trained model once it has been measured.
    """
    model: Any = trainer.model
    before = measure(evaluator, model, "before training")
    trainer.train(resume_from_checkpoint=options.resume)
    after = measure(evaluator, model, "after training")
    if before_saving:
        before_saving(model)
    model.save_pretrained(options.output)
    say(f"Saved to {options.output}")
    return Outcome(before, after, [row["loss"] for row in trainer.state.log_history if "loss" in row])


def measure(evaluator: SentenceEvaluator | None, model: Any, when: str) -> float | None:
    """The primary metric of the model, printed with all others; None without an evaluator."""
    if evaluator is None:
        return None
    metrics = evaluator(model)
    if not isinstance(metrics, dict):
        say(f"{when}: {metrics:.4f}")
        return float(metrics)
    for name, value in metrics.items():
        say(f"{when}: {name} = {value:.4f}{' *' if name == evaluator.primary_metric else ''}")
    return float(metrics[evaluator.primary_metric or next(iter(metrics))])


def split_named(argument: str) -> tuple[str, str]:
    """``NAME=FILE`` as its two parts."""
    name, equals, source = argument.partition("=")
    if not (name and equals and source):
        raise InvalidOption(f"{argument}: expected NAME=FILE, as in quora=pairs.tsv")
    return name, source


def mean(scores: Sequence[float]) -> float:
    """Main score of several evaluators that weigh the same."""
    return sum(scores) / len(scores)


def first(scores: Sequence[float]) -> float:
    """Main score of several evaluators of which the others only add to the picture."""
    return scores[0]


def seed_everything(seed: int) -> None:
    """For recipes that make weights or sample rows before the trainer, which seeds again, starts."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def say(line: str) -> None:
    """Prints: the recipes are programs, and this is what they have to say."""
    print(line, flush=True)  # noqa: T201
