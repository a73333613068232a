"""A training draws the same numbers and runs the model as often as the reference's."""

from __future__ import annotations

import random

import pytest
import torch
from datasets import Dataset, DatasetDict

import stlib

pytestmark = pytest.mark.parity

SMALL = 12
QUESTIONS = [f"how do i sort list {i}" for i in range(SMALL)]
ANSWERS = [f"the quick brown fox jumps {'over the lazy dog ' * (i % 4)}" for i in range(SMALL)]
PAIRS = {"anchor": QUESTIONS, "positive": ANSWERS}


def count_passes(transformer):
    """A list that grows with each pass of the transformer."""
    passes, run = [], transformer.forward

    def counted(*args, **kwargs):
        passes.append(1)
        return run(*args, **kwargs)

    transformer.forward = counted
    return passes


@pytest.fixture
def train(tiny_bert, tmp_path, reference):
    """Trains a model of a library; returns the losses of all steps, the passes of its transformer and what
    `random` gives next.
    """

    def train(library, make_loss, data, steps=3, **options):
        torch.manual_seed(0)
        model = library.SentenceTransformer(tiny_bert, device="cpu")
        passes = count_passes(model[0].auto_model)
        args = library.SentenceTransformerTrainingArguments(
            str(tmp_path / library.__name__),
            max_steps=steps,
            per_device_train_batch_size=4,
            logging_steps=1,
            report_to="none",
            dataloader_pin_memory=False,
            disable_tqdm=True,
            **{"save_strategy": "no", **options},
        )
        trainer = library.SentenceTransformerTrainer(
            model=model, args=args, train_dataset=data, loss=make_loss(library, model)
        )
        trainer.train()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        return losses, len(passes), random.random()

    return train


def ranking(library, model):
    return _losses(library).MultipleNegativesRankingLoss(model)


def _losses(library):
    import importlib

    return importlib.import_module(f"{library.__name__}.sentence_transformer.losses")


def matryoshka(library, model):
    return _losses(library).MatryoshkaLoss(model, ranking(library, model), [32, 16, 8, 4], n_dims_per_step=1)


def layers_and_sizes(library, model):
    return _losses(library).Matryoshka2dLoss(model, ranking(library, model), [32, 16, 8])


def cached(library, model):
    losses = _losses(library)
    inner = losses.CachedMultipleNegativesRankingLoss(model, mini_batch_size=2)
    return losses.MatryoshkaLoss(model, inner, [32, 16, 8], n_dims_per_step=2)


@pytest.mark.parametrize(
    ("make_loss", "several"), [(matryoshka, True), (layers_and_sizes, False), (cached, False)]
)
def test_random_sizes_and_layers_are_the_same(reference, train, make_loss, several):
    data = Dataset.from_dict(PAIRS)
    if several:
        data = DatasetDict(
            {"a": data, "b": data.select(range(5)), "c": Dataset.from_dict({"x": QUESTIONS, "y": ANSWERS})}
        )
    theirs = train(reference, make_loss, data)
    ours = train(stlib, make_loss, data)
    assert ours[0] == pytest.approx(theirs[0], rel=2e-3)
    assert len(set(ours[0])) > 1
    assert ours[2] == theirs[2], "as many numbers were drawn"


def test_as_many_passes_run_as_there(reference, train):
    data = Dataset.from_dict(PAIRS)
    for options in ({}, {"save_strategy": "steps", "save_steps": 2}):
        theirs = train(reference, ranking, data, **options)
        ours = train(stlib, ranking, data, **options)
        assert ours[1] == theirs[1]
    assert ours[1] == 2 * 3 + 2  # two columns a step, and the example of each card that is written
