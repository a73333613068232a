"""A late-interaction model trained by both libraries: same seed, same data, same losses, same weights."""

from __future__ import annotations

import importlib
import random
import warnings
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from stlib.errors import StlibError

pytestmark = pytest.mark.parity

pytest.importorskip("datasets")
pytest.importorskip("accelerate")

WORDS = (
    "the a of to sort list key dictionary how do i quick brown fox jumps over lazy dog search meaning word"
).split()
STEPS = 4


def rows(n: int = 32, columns: int = 2, labels: int = 0) -> dict[str, list[Any]]:
    draw = random.Random(3)
    data: dict[str, list[Any]] = {
        f"text{i}": [" ".join(draw.choices(WORDS, k=draw.randint(2, 9))) for _ in range(n)]
        for i in range(columns)
    }
    if labels:
        data["label"] = [[round(draw.uniform(0, 6), 3) for _ in range(labels)] for _ in range(n)]
    return data


@dataclass
class Run:
    """A training script: what differs between the cases."""

    data: dict[str, list[Any]]
    loss: Any
    """Name of the loss and its options; None for the default one."""
    args: dict[str, Any] = field(default_factory=dict)
    evaluate: dict[str, list[Any]] | None = None


def train(package: str, run: Run, folder: str, output: Any, **more: Any) -> Any:
    from datasets import Dataset

    library = importlib.import_module(package)
    losses = importlib.import_module(f"{package}.multi_vector_encoder.losses")
    model = library.MultiVectorEncoder(folder, device="cpu")
    args = library.MultiVectorEncoderTrainingArguments(
        **{
            "output_dir": str(output / package),
            "max_steps": STEPS,
            "per_device_train_batch_size": 8,
            "learning_rate": 1e-3,
            "logging_steps": 1,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "use_cpu": True,
            **run.args,
        }
    )
    name, options = run.loss or (None, {})
    trainer = library.MultiVectorEncoderTrainer(
        model,
        args,
        train_dataset=Dataset.from_dict(run.data),
        eval_dataset=None if run.evaluate is None else Dataset.from_dict(run.evaluate),
        loss=name and getattr(losses, name)(model, **options),
        **more,
    )
    torch.manual_seed(5)
    with warnings.catch_warnings():
        if package != "stlib":
            warnings.simplefilter("ignore")
        trainer.train()
    return trainer


def curve(trainer: Any, key: str = "loss") -> list[float]:
    return [entry[key] for entry in trainer.state.log_history if key in entry]


RUNS = {
    "by_default": Run(rows(columns=3), None, {"batch_sampler": "no_duplicates", "warmup_ratio": 0.2}),
    "cached": Run(
        rows(),
        ("CachedMultiVectorMultipleNegativesRankingLoss", {"mini_batch_size": 3}),
        {"prompts": {"text0": "query : ", "text1": "document : "}},
    ),
    "distilled": Run(
        rows(columns=4, labels=3),
        ("MultiVectorDistillKLDivLoss", {"temperature": 2.0, "mini_batch_size": 10}),
        {"max_length": {"document": 7}, "learning_rate_mapping": {r"1\.linear": 1e-2}},
        evaluate=rows(8, columns=4, labels=3),
    ),
    "margins": Run(rows(columns=3, labels=2), ("MultiVectorMarginMSELoss", {}), {"max_length": 6}),
    "other_tasks": Run(
        rows(),
        ("MultiVectorMultipleNegativesRankingLoss", {"scale": 2.0}),
        {"router_mapping": {"text0": "document", "text1": "query"}},
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_curve_and_weights(name, reference, late_folder, tmp_path):
    run = RUNS[name]
    if run.evaluate:
        run.args |= {"eval_strategy": "steps", "eval_steps": 2}
    ours, theirs = (train(p, run, late_folder, tmp_path) for p in ("stlib", "sentence_transformers"))
    assert len(curve(theirs)) == STEPS
    torch.testing.assert_close(curve(ours), curve(theirs), rtol=2e-4, atol=1e-5)
    torch.testing.assert_close(curve(ours, "eval_loss"), curve(theirs, "eval_loss"), rtol=2e-4, atol=1e-5)
    expected = theirs.model.state_dict()
    for key, weights in ours.model.state_dict().items():
        # The bias of keys does not change attention: its gradient is rounding, which Adam makes a step of.
        if not key.endswith("key.bias"):
            torch.testing.assert_close(weights, expected[key], rtol=1e-3, atol=1e-4)


def test_an_evaluator_decides_which_checkpoint_is_best(late_folder, tmp_path):
    from stlib import MultiVectorEncoder
    from stlib.multi_vector_encoder.evaluation import MultiVectorTripletEvaluator

    data = rows(columns=3)
    evaluator = MultiVectorTripletEvaluator(*data.values(), name="triplets")
    args = {
        "eval_strategy": "steps",
        "eval_steps": 2,
        "save_strategy": "steps",
        "save_steps": 2,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_triplets_maxsim_accuracy",
    }
    trainer = train("stlib", Run(data, None, args), late_folder, tmp_path, evaluator=evaluator)
    measured = curve(trainer, "eval_triplets_maxsim_accuracy")
    assert trainer.state.best_metric == max(measured)
    best = MultiVectorEncoder(trainer.state.best_model_checkpoint, device="cpu")
    assert evaluator(best)["triplets_maxsim_accuracy"] == pytest.approx(max(measured))
    model = trainer.model
    model.save_pretrained(str(tmp_path / "saved"))
    card = (tmp_path / "saved" / "README.md").read_text("utf-8")
    for part in ("MultiVectorMultipleNegativesRankingLoss", '"similarity_fct": "colbert_scores"'):
        assert part in card
    for part in ("maxsim_accuracy", "henderson2017efficient", "MultiVectorTripletEvaluator"):
        assert part in card


@pytest.mark.parametrize(
    ("data", "loss", "message"),
    [
        (rows(columns=1), "MultiVectorMultipleNegativesRankingLoss", "MultipleNegativesRankingLoss"),
        (rows(columns=2, labels=1), "MultiVectorDistillKLDivLoss", "MultiVectorDistillKLDivLoss"),
        (rows(columns=3), "MultiVectorMarginMSELoss", "teacher's scores"),
    ],
)
def test_data_that_a_loss_cannot_use(data, loss, message, late_folder, tmp_path):
    with pytest.raises(StlibError, match=message):
        train("stlib", Run(data, (loss, {})), late_folder, tmp_path)
