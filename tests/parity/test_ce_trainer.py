"""Rerankers trained by both libraries: same seed, same data, same losses, same weights."""

from __future__ import annotations

import csv
import importlib
import logging
import random
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from stlib import CrossEncoder, InputExample
from stlib.cross_encoder.data_collator import CrossEncoderDataCollator
from stlib.errors import InvalidInput, InvalidOption

pytestmark = pytest.mark.parity

WORDS = (
    "the a of to sort list key dictionary how do i quick brown fox jumps over lazy dog search meaning word"
).split()
LONG, SHORT = 20, 4


def sentences(n: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(2, 9))) for _ in range(n)]


def pairs(label: str, n: int = 64) -> dict[str, list[Any]]:
    draw = random.Random(7)
    labels = {
        "flag": [float(draw.random() < 0.5) for _ in range(n)],
        "class": [draw.randrange(3) for _ in range(n)],
        "number": [round(draw.gauss(0, 1), 3) for _ in range(n)],
    }
    return {"query": sentences(n, 0), "passage": sentences(n, 1), "label": labels[label]}


def texts(columns: int, n: int = 64) -> dict[str, list[Any]]:
    return {f"text{i}": sentences(n, i) for i in range(columns)}


def margins(n: int = 64) -> dict[str, list[Any]]:
    draw = random.Random(8)
    return {**texts(3, n), "score": [round(draw.gauss(0, 1), 3) for _ in range(n)]}


def lists(n: int = 48) -> dict[str, list[Any]]:
    """A query, several documents, and how relevant each is; lists of different lengths."""
    draw = random.Random(9)
    lengths = [draw.randint(2, 5) for _ in range(n)]
    return {
        "query": sentences(n, 0),
        "docs": [sentences(length, 100 + i) for i, length in enumerate(lengths)],
        "labels": [[draw.randint(0, 2) for _ in range(length)] for length in lengths],
    }


@dataclass(frozen=True)
class Run:
    """A training script: what differs between the cases."""

    data: Any
    loss: Any
    """Function of the module of losses and the model."""
    args: dict[str, Any] = field(default_factory=dict)
    steps: int = SHORT
    labels: int = 1
    evaluate: Any = None


def package(library: str) -> Any:
    return importlib.import_module("stlib" if library == "ours" else "sentence_transformers")


def family(library: str, part: str = "") -> Any:
    return importlib.import_module(f"{package(library).__name__}.cross_encoder{part}")


def as_datasets(data: Any) -> Any:
    from datasets import Dataset, DatasetDict

    if isinstance(next(iter(data.values())), dict):
        return DatasetDict({name: Dataset.from_dict(one) for name, one in data.items()})
    return Dataset.from_dict(data)


def trainer_of(library: str, run: Run, model_path: str, folder: Path) -> Any:
    model = package(library).CrossEncoder(model_path, device="cpu")
    arguments: dict[str, Any] = {
        "output_dir": str(folder / library),
        "max_steps": run.steps,
        "per_device_train_batch_size": 8,
        "learning_rate": 1e-3,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        **run.args,
    }
    return family(library, ".trainer").CrossEncoderTrainer(
        model,
        family(library, ".training_args").CrossEncoderTrainingArguments(**arguments),
        train_dataset=as_datasets(run.data),
        eval_dataset=None if run.evaluate is None else as_datasets(run.evaluate),
        loss=run.loss(family(library, ".losses"), model),
    )


def train(library: str, run: Run, model_path: str, folder: Path) -> Any:
    trainer = trainer_of(library, run, model_path, folder)
    torch.manual_seed(5)
    random.seed(5)
    with warnings.catch_warnings():
        if library == "theirs":
            warnings.simplefilter("ignore")
        trainer.train()
    return trainer


def curve(trainer: Any, key: str = "loss") -> list[float]:
    return [entry[key] for entry in trainer.state.log_history if key in entry]


def assert_same_weights(ours: Any, theirs: Any) -> None:
    expected = theirs.state_dict()
    for name, weights in ours.state_dict().items():
        # The bias of keys does not change attention, nor does that of all scores change an order: their
        # gradients are rounding, which Adam makes a step of.
        if not name.endswith(("key.bias", "classifier.bias")):
            torch.testing.assert_close(weights, expected[name], rtol=1e-3, atol=2e-4)


def assert_same(run: Run, model_path: str, folder: Path) -> list[Any]:
    ours, theirs = (train(library, run, model_path, folder) for library in ("ours", "theirs"))
    assert len(curve(theirs)) == run.steps
    torch.testing.assert_close(curve(ours), curve(theirs), rtol=2e-4, atol=2e-5)
    assert_same_weights(ours.model, theirs.model)
    return [ours, theirs]


SINGLE = {
    "binary": Run(pairs("flag"), lambda losses, model: losses.BinaryCrossEntropyLoss(model), steps=LONG),
    "binary_by_default": Run(pairs("flag"), lambda losses, model: None, {"warmup_steps": 0.2}),
    "classes": Run(
        pairs("class"), lambda losses, model: losses.CrossEntropyLoss(model), steps=LONG, labels=3
    ),
    "classes_by_default": Run(pairs("class"), lambda losses, model: None, labels=3),
    "loss_class_accumulated": Run(
        pairs("number"), lambda losses, model: losses.MSELoss, {"gradient_accumulation_steps": 2}
    ),
    "margins": Run(margins(), lambda losses, model: losses.MarginMSELoss(model)),
    "lambda": Run(lists(), lambda losses, model: losses.LambdaLoss(model), steps=LONG),
    "list_net_in_parts": Run(lists(), lambda losses, model: losses.ListNetLoss(model, mini_batch_size=3)),
    "ranking": Run(
        texts(3),
        lambda losses, model: losses.MultipleNegativesRankingLoss(model, num_negatives=2),
        {"batch_sampler": "no_duplicates"},
        steps=LONG,
    ),
    "ranking_cached": Run(
        texts(2),
        lambda losses, model: losses.CachedMultipleNegativesRankingLoss(model, mini_batch_size=3),
    ),
    "prompt_for_all": Run(
        pairs("flag"), lambda losses, model: losses.BinaryCrossEntropyLoss(model), {"prompts": "search : "}
    ),
}


@pytest.mark.parametrize("name", SINGLE)
def test_one_data_set_gives_the_same_curve_and_weights(
    name, reference, tiny_reranker, tiny_classifier, tmp_path
):
    run = SINGLE[name]
    assert_same(run, tiny_reranker if run.labels == 1 else tiny_classifier, tmp_path)


def test_several_data_sets_with_a_loss_and_a_prompt_each(reference, tiny_reranker, tmp_path):
    run = Run(
        {"flags": pairs("flag"), "lists": lists()},
        lambda losses, model: {
            "flags": losses.BinaryCrossEntropyLoss(model),
            "lists": losses.ListNetLoss(model),
        },
        {
            "prompts": {"flags": "search : ", "lists": "how : "},
            "multi_dataset_batch_sampler": "round_robin",
            "eval_strategy": "steps",
            "eval_steps": 2,
        },
        evaluate={"flags": pairs("flag", 16), "lists": lists(12)},
    )
    ours, theirs = assert_same(run, tiny_reranker, tmp_path)
    for key in ("eval_flags_loss", "eval_lists_loss"):
        assert len(curve(ours, key)) == 2
        torch.testing.assert_close(curve(ours, key), curve(theirs, key), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("saved_by", ["ours", "theirs"])
def test_a_trained_model_is_loaded_by_the_other_library(saved_by, reference, tiny_reranker, tmp_path):
    trainer = train(saved_by, SINGLE["binary_by_default"], tiny_reranker, tmp_path)
    trainer.save_model(str(tmp_path / "saved"))
    other = package("theirs" if saved_by == "ours" else "ours").CrossEncoder(
        str(tmp_path / "saved"), device="cpu"
    )
    asked = list(zip(sentences(8, 3), sentences(8, 4), strict=True))
    np.testing.assert_allclose(other.predict(asked), trainer.model.predict(asked), rtol=0, atol=2e-6)


def test_a_run_goes_on_from_its_checkpoint(reference, tiny_reranker, tmp_path):
    run = replace(SINGLE["binary"], args={"save_strategy": "steps", "save_steps": 3}, steps=6)
    curves = []
    for library in ("ours", "theirs"):
        whole = train(library, run, tiny_reranker, tmp_path)
        again = trainer_of(library, run, tiny_reranker, tmp_path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            again.train(resume_from_checkpoint=str(tmp_path / library / "checkpoint-3"))
        assert curve(again)[:3] == curve(whole)[:3]
        curves.append(curve(again))
    torch.testing.assert_close(*curves, rtol=2e-4, atol=2e-5)


# -- the older ways


def examples(library: str, labels: int = 1) -> list[Any]:
    data = pairs("flag" if labels == 1 else "class")
    rows = zip(data["query"], data["passage"], data["label"], strict=True)
    return [package(library).InputExample(texts=[q, p], label=label) for q, p, label in rows]


def fitted(library: str, method: str, model_path: str, labels: int, folder: Path) -> Any:
    model = package(library).CrossEncoder(model_path, device="cpu")
    torch.manual_seed(3)
    loader = DataLoader(examples(library, labels), batch_size=8, shuffle=True)
    options = {"epochs": 2, "warmup_steps": 3, "optimizer_params": {"lr": 1e-3}, "show_progress_bar": False}
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # theirs writes to the working directory
        if library == "theirs":
            warnings.simplefilter("ignore")
        getattr(model, method)(loader, **options)
    return model


@pytest.mark.parametrize("labels", [1, 3])
@pytest.mark.parametrize("method", ["fit", "old_fit"])
def test_fit_gives_the_same_weights(method, labels, reference, tiny_reranker, tiny_classifier, tmp_path):
    path = tiny_reranker if labels == 1 else tiny_classifier
    ours, theirs = (fitted(library, method, path, labels, tmp_path) for library in ("ours", "theirs"))
    assert_same_weights(ours, theirs)


@pytest.mark.filterwarnings("ignore:.*max_length:DeprecationWarning")
def test_the_older_collate_functions_are_the_same(reference, tiny_reranker):
    ours, theirs = (package(one).CrossEncoder(tiny_reranker, device="cpu") for one in ("ours", "theirs"))
    mine, my_labels = ours.smart_batching_collate(examples("ours")[:5])
    other, labels = theirs.smart_batching_collate(examples("theirs")[:5])
    torch.testing.assert_close(dict(mine), dict(other))
    torch.testing.assert_close(my_labels, labels)
    asked = list(zip(sentences(4, 1), sentences(4, 2), strict=True))
    mine, other = (model.smart_batching_collate_text_only(asked) for model in (ours, theirs))
    torch.testing.assert_close(dict(mine), dict(other))


def test_fit_with_a_function_of_logits_and_labels(tiny_reranker, tmp_path):
    """The binary cross entropy as a function trains what the loss of that name trains."""
    models = []
    for loss in (None, torch.nn.BCEWithLogitsLoss()):
        model = CrossEncoder(tiny_reranker, device="cpu")
        torch.manual_seed(3)
        loader = DataLoader(examples("ours"), batch_size=8)
        model.fit(loader, loss_fct=loss, warmup_steps=1, show_progress_bar=False)
        models.append(model)
    assert_same_weights(*models)


@pytest.mark.parametrize("method", ["fit", "old_fit"])
def test_fit_evaluates_saves_and_calls_back(method, tiny_reranker, tmp_path):
    from stlib.cross_encoder.evaluation import CECorrelationEvaluator

    model = CrossEncoder(tiny_reranker, device="cpu")
    evaluator = CECorrelationEvaluator.from_input_examples(examples("ours")[:20], name="dev")
    calls: list[Any] = []
    getattr(model, method)(
        DataLoader(examples("ours"), batch_size=16),
        evaluator=evaluator,
        epochs=2,
        evaluation_steps=3,
        warmup_steps=1,
        output_path=str(tmp_path / "best"),
        callback=lambda score, epoch, steps: calls.append((score, epoch, steps)),
        show_progress_bar=False,
    )
    # Of four steps in an epoch, the third and the end; fit counts on.
    expected = [3, 4, 6, 8] if method == "fit" else [3, -1, 3, -1]
    assert [steps for _, _, steps in calls] == expected
    with (tmp_path / "best" / "eval" / evaluator.csv_file).open(encoding="utf-8") as file:
        scores = [float(row["Spearman_Correlation"]) for row in csv.DictReader(file)]
    assert scores == [score for score, _, _ in calls]
    saved = CrossEncoder(str(tmp_path / "best"), device="cpu")
    assert evaluator(saved)["dev_spearman"] == pytest.approx(max(scores))


# -- batches


def rows(data: dict[str, list[Any]], n: int = 3) -> list[dict[str, Any]]:
    return [{name: values[i] for name, values in data.items()} for i in range(n)]


@pytest.mark.parametrize("data", [pairs("flag"), pairs("class"), lists(), texts(3), margins()], ids=str)
@pytest.mark.parametrize(
    "options", [{}, {"prompts": "p"}, {"prompts": {"one": "p"}, "router_mapping": {"one": "t"}}], ids=str
)
@pytest.mark.parametrize("name", [None, "one"])
def test_batches_are_the_same(reference, data, options, name):
    from sentence_transformers.cross_encoder.data_collator import CrossEncoderDataCollator as Other

    given = [row if name is None else {**row, "dataset_name": name} for row in rows(data)]
    mine = CrossEncoderDataCollator(preprocess_fn=len, **options)(given)
    other = Other(preprocess_fn=len, **options)(given)
    assert list(mine) == list(other)
    for key, value in mine.items():
        if key == "label":
            torch.testing.assert_close(value, other[key])
        else:
            assert value == other[key]


class Recorder(torch.nn.Module):
    """A loss of somebody's own, without prompt and task."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Any, labels: Any) -> Any:
        features = self.model.preprocess(list(zip(*inputs, strict=True)))
        return torch.nn.functional.mse_loss(self.model(features)["scores"].reshape(-1), labels)


def test_a_loss_of_ones_own_is_called_with_what_it_takes(tiny_reranker, tmp_path):
    run = Run(pairs("flag"), lambda losses, model: Recorder(model), steps=2)
    plain = train("ours", run, tiny_reranker, tmp_path)
    assert len(curve(plain)) == 2
    with pytest.raises(InvalidOption, match=r"Recorder takes no prompt, and the arguments have one"):
        train("ours", replace(run, args={"prompts": "search : "}), tiny_reranker, tmp_path)


def test_each_data_set_has_its_task(tiny_reranker, tmp_path):
    """A loss that takes the task is given the route of the data set that its batch comes from."""
    told = []

    class Routed(Recorder):
        def forward(self, inputs: Any, labels: Any, task: str | None = None) -> Any:
            told.append((len(labels), task))
            return super().forward(inputs, labels)

    run = Run(
        {"one": pairs("flag", 16), "two": pairs("number", 4)},
        lambda losses, model: Routed(model),
        {
            "router_mapping": {"one": "search", "two": "classify"},
            "multi_dataset_batch_sampler": "round_robin",
        },
        steps=2,
    )
    train("ours", run, tiny_reranker, tmp_path)
    assert sorted(told) == [(4, "classify"), (8, "search")]


# -- what cannot be trained on


def binary(losses: Any, model: Any) -> Any:
    return losses.BinaryCrossEntropyLoss(model)


@pytest.mark.parametrize(
    ("data", "args", "error", "message"),
    [
        (texts(2), {}, InvalidInput, r"BinaryCrossEntropyLoss needs a label \(1 or 0"),
        (margins(), {}, InvalidInput, r"takes 2 input columns beside the label; train_dataset has 'text0'"),
        ({"prompt": ["a"], "text": ["b"], "label": [1]}, {}, InvalidInput, r"the column 'prompt' of"),
        (pairs("flag"), {"prompts": {"query": "p"}}, InvalidOption, r"by name \('query'\), and there is one"),
        (
            {"one": pairs("flag")},
            {"prompts": {"query": "p"}},
            InvalidOption,
            r"prompts is for 'query', which is no data set; .* one for each of 'one'",
        ),
        (
            {"one": pairs("flag")},
            {"prompts": {"one": {"query": "p"}}},
            InvalidOption,
            r"prompts is by column",
        ),
    ],
    ids=["no_label", "three_columns", "prompt_column", "prompt_by_column", "no_data_set", "nested"],
)
def test_what_cannot_be_trained_on_is_said_first(data, args, error, message, tiny_reranker, tmp_path):
    with pytest.raises(error, match=message):
        trainer_of("ours", Run(data, binary, args), tiny_reranker, tmp_path)


@pytest.mark.parametrize(
    ("loss", "label", "message"),
    [
        ("BinaryCrossEntropyLoss", [5.0, -3.0], r"has labels from -3 to 5; BinaryCross.* MSELoss .*CrossEnt"),
        ("LambdaLoss", [[130, 0], [1, 0]], r"has labels up to 130; .*2 \*\* label.*usually 0 to 4"),
        ("LambdaLoss", [[1.0, float("nan")], [1.0, 0.0]], "has lists in which 1 of 4 values is NaN"),
    ],
)
def test_labels_that_would_spoil_the_weights_are_said_first(loss, label, message, tiny_reranker, tmp_path):
    documents = [["x", "y"], ["z", "w"]] if isinstance(label[0], list) else ["x", "y"]
    run = Run(
        {"query": ["a", "b"], "passage": documents, "label": label},
        lambda losses, model: getattr(losses, loss)(model),
    )
    with pytest.raises(InvalidInput, match=f"the (label )?column 'label' of train_dataset {message}"):
        trainer_of("ours", run, tiny_reranker, tmp_path)


@pytest.mark.parametrize("argument", ["train_dataset", "eval_dataset"])
def test_streams_are_refused(argument, tiny_reranker, tmp_path):
    from stlib.cross_encoder.trainer import CrossEncoderTrainer

    data = as_datasets(pairs("flag"))
    given = {"train_dataset": data, argument: data.to_iterable_dataset()}
    with pytest.raises(InvalidInput, match=rf"{argument} is an IterableDataset, .* Dataset\.from_list"):
        CrossEncoderTrainer(CrossEncoder(tiny_reranker, device="cpu"), **given)
    with pytest.raises(InvalidInput, match=rf"{argument} is an IterableDataset"):
        CrossEncoderTrainer(
            CrossEncoder(tiny_reranker, device="cpu"),
            **{**given, argument: {"a": data.to_iterable_dataset()}},
        )


def test_fit_says_what_is_no_pair(tiny_reranker):
    model = CrossEncoder(tiny_reranker, device="cpu")
    single = DataLoader([InputExample(texts=["a"], label=1.0)] * 4, batch_size=2)
    with pytest.raises(InvalidInput, match="1 texts each; fit wants two"):
        model.fit(single, loss_fct=torch.nn.MSELoss(), show_progress_bar=False)
    with pytest.raises(InvalidInput, match="gave a str where fit wants an InputExample"):
        model.fit(DataLoader(["a", "b"]), show_progress_bar=False)


# -- the model card


def test_the_card_shows_pairs_of_the_data_and_the_loss(tiny_reranker, tmp_path):
    run = Run(pairs("flag"), binary, steps=2)
    trainer = train("ours", run, tiny_reranker, tmp_path)
    data = trainer.model.model_card_data
    first = [[q, p] for q, p in zip(run.data["query"], run.data["passage"], strict=True)]
    assert data.usage_examples == first[:5]
    assert data.widget == []
    assert {"loss:BinaryCrossEntropyLoss", "reranker", "dataset_size:64"} <= set(data.tags)
    trainer.create_model_card()  # runs the example
    assert data.similarities == str(trainer.model.predict(first[:5]))
    card = (tmp_path / "ours" / "README.md").read_text("utf-8")
    assert "BinaryCrossEntropyLoss" in card
    assert first[0][0] in card


def test_the_card_shows_documents_of_the_first_query(tiny_reranker, tmp_path):
    run = Run(lists(), lambda losses, model: losses.ListNetLoss(model))
    data = trainer_of("ours", run, tiny_reranker, tmp_path).model.model_card_data
    query, documents = run.data["query"][0], run.data["docs"][0]
    assert data.usage_examples == [[query, document] for document in documents[:5]]


def test_training_says_nothing_unasked(tiny_reranker, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        train("ours", Run(pairs("flag"), binary, steps=1), tiny_reranker, tmp_path)
    assert [record.message for record in caplog.records if record.name.startswith("stlib")] == []
