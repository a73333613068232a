"""Makes a smaller, faster model that gives the embeddings of a larger one (the teacher).

    python -m stlib.recipes.distillation --teacher TEACHER --layers 1 4 --train texts.txt --output student
    python -m stlib.recipes.distillation --teacher TEACHER --model SMALL --train texts.txt \\
        --output student

Data: plain texts, one per line, of the kind the model will read. The student is either the teacher with
only some of its layers (``--layers``, 0 is the first), or another model. Where it has fewer dimensions than
the teacher, the teacher's embeddings are first turned onto their principal axes. The figure is the squared
distance of student and teacher on texts held out (negated, so that more is better); ``--eval`` adds
Spearman on scored pairs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset

from stlib import SentenceTransformer, SentenceTransformerTrainer, losses
from stlib.errors import InvalidOption
from stlib.evaluation import MSEEvaluator, SequentialEvaluator
from stlib.models import Dense
from stlib.recipes._common import Outcome, first, parser, train_and_save, training_arguments
from stlib.recipes._data import read_texts, similarity_evaluator
from stlib.recipes._inputs import place, run
from stlib.recipes._layers import keep_layers
from stlib.recipes._numbers import natural, positive


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(
        __doc__,
        train="texts, one per line",
        evaluate="table with sentence1, sentence2, score",
        model=None,
        learning_rate=1e-4,
    )
    made.add_argument(
        "--teacher", type=place, required=True, help="folder or hub id of the model to learn from"
    )
    made.add_argument("--model", type=place, help="the student: folder or hub id")
    made.add_argument(
        "--layers", type=natural, nargs="+", help="or: the teacher's layers that make the student"
    )
    made.add_argument(
        "--held-out", type=positive, default=1000, help="texts the distance is measured on (default: 1000)"
    )
    options = made.parse_args(argv)

    teacher, student = SentenceTransformer(options.teacher), make_student(options)
    texts = read_texts(options.train, limit=options.limit)
    held_out = texts[-min(options.held_out, len(texts) // 5 + 1) :]
    texts = texts[: -len(held_out)]
    match_dimensions(teacher, student.get_embedding_dimension(), texts)
    targets = teacher.encode(texts, batch_size=options.batch_size)
    trainer = SentenceTransformerTrainer(
        model=student,
        args=training_arguments(options),
        train_dataset=Dataset.from_dict({"sentence": texts, "label": targets.tolist()}),
        loss=losses.MSELoss(student),
    )
    distance = MSEEvaluator(held_out, held_out, teacher, name="teacher", write_csv=False)
    quality = similarity_evaluator(options.eval)
    evaluator = SequentialEvaluator([distance, quality] if quality else [distance], main_score_function=first)
    return train_and_save(trainer, evaluator, options)


def make_student(options: argparse.Namespace) -> Any:
    if bool(options.model) == bool(options.layers):
        raise InvalidOption("name the student by --model or make it by --layers, one of them")
    student = SentenceTransformer(options.model or options.teacher)
    if options.layers:
        keep_layers(student, options.layers)
    return student


def match_dimensions(teacher: Any, dimension: int, texts: list[str], sample: int = 20_000) -> None:
    """Adds a projection to the teacher's principal axes if it has more dimensions than that."""
    size = teacher.get_embedding_dimension()
    if size < dimension:
        raise InvalidOption(
            f"the student has {dimension} dimensions, the teacher only {size}; take a smaller one"
        )
    if size == dimension:
        return
    vectors = teacher.encode(texts[:sample], convert_to_tensor=True)
    axes = torch.linalg.eigh(torch.cov(vectors.T.double())).eigenvectors  # smallest variance first
    projection = Dense(
        size,
        dimension,
        bias=False,
        activation_function=torch.nn.Identity(),
        init_weight=axes[:, -dimension:].flip(1).T.contiguous().to(vectors),
    )
    teacher.add_module(str(len(teacher)), projection.to(teacher.device))


if __name__ == "__main__":
    run(main)
