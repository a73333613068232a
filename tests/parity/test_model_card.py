"""The README.md beside a saved model: its front matter is valid, what it says is true, its example runs."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
import yaml

from stlib import SentenceTransformer
from stlib.models import Dense, InputModule, Module, Normalize, Pooling, Router, Transformer
from stlib.sentence_transformer.model_card import SentenceTransformerModelCardData

pytestmark = pytest.mark.parity


@pytest.fixture
def model(tiny_bert):
    return SentenceTransformer(
        modules=[Transformer(tiny_bert), Pooling(32), Dense(32, 6), Normalize()], device="cpu"
    )


def saved_card(model, folder: Path, **options) -> tuple[dict, str]:
    """Front matter and body of the card that ``save`` writes."""
    model.save(folder, **options)
    _, front, body = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), body


def table(body: str) -> dict[str, str]:
    """The rows of the first table."""
    return {
        name.strip(): value.strip()
        for name, value in re.findall(r"^\| (.+?) \| (.+?) \|$", body, re.MULTILINE)
    }


def run_example(body: str, monkeypatch, folder: Path) -> str:
    """What the example prints, when it runs where the model's folder is."""
    (code,) = re.findall(r"```python\n(.+?)```", body, re.DOTALL)
    monkeypatch.chdir(folder.parent)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    return printed.getvalue()


def shown(body: str) -> str:
    """What the example says that it prints: the comments under its print calls."""
    (code,) = re.findall(r"```python\n(.+?)```", body, re.DOTALL)
    return "".join(f"{line[2:]}\n" for line in code.splitlines() if line.startswith("# "))


def test_the_example_prints_what_the_card_says(model, tmp_path, monkeypatch):
    model.model_card_data.run_usage_snippet()
    _, body = saved_card(model, tmp_path / "my-model")
    printed = run_example(body, monkeypatch, tmp_path / "my-model")
    assert printed == shown(body)
    assert printed.startswith("(3, 6)\ntensor([[1.0000")
    assert 'SentenceTransformer("my-model")' in body
    # the same numbers by hand
    lists = re.search(r"sentences = (\[.+?\n\])", body, re.DOTALL)
    embeddings = SentenceTransformer(tmp_path / "my-model", device="cpu").encode(eval(lists[1]))
    assert str(torch.from_numpy(embeddings @ embeddings.T)) == printed.split("\n", 1)[1].strip()


def test_facts_are_those_of_the_model(model, tmp_path):
    model.max_seq_length = 17
    model.similarity_fn_name = "euclidean"
    model.truncate_dim = 4
    model.prompts["search"] = "search: "
    front, body = saved_card(model, tmp_path / "model")
    facts = table(body)
    assert facts["Vector"] == "4 dimensions"
    assert facts["Similarity"] == "euclidean"
    assert facts["Longest input"] == "17 tokens"
    assert facts["Prompts"] == "`search`: `search: `"
    assert facts["Inputs"] == "text"
    assert f"```\n{model}\n```" in body
    assert front == {
        "library_name": "sentence-transformers",
        "pipeline_tag": "sentence-similarity",
        "tags": ["sentence-transformers", "sentence-similarity", "feature-extraction", "dense"],
    }
    assert "# (3, 4)" in body


@pytest.mark.parametrize("name", ['a "quoted" name', "back\\slash", "mit Ümlaut", "it's"])
def test_any_name_of_a_folder_makes_an_example_that_runs(model, tmp_path, monkeypatch, name):
    _, body = saved_card(model, tmp_path / name)
    assert run_example(body, monkeypatch, tmp_path / name).startswith("(3, 6)")


def test_what_is_not_known_is_not_said(model, tmp_path):
    _, body = saved_card(model, tmp_path / "model")
    for word in ("None", "Training", "Evaluation", "License", "Base model", "unknown", "?)"):
        assert word not in body, word
    assert str(tmp_path) not in body


def test_queries_and_documents_have_their_own_example(tiny_bert, tmp_path, monkeypatch):
    routes = {
        "query_modules": [Transformer(tiny_bert), Pooling(32)],
        "document_modules": [Transformer(tiny_bert), Pooling(32, "cls")],
    }
    model = SentenceTransformer(modules=[Router.for_query_document(**routes)], device="cpu")
    model.model_card_data.run_usage_snippet()
    _, body = saved_card(model, tmp_path / "routed")
    assert "encode_query(" in body
    assert "encode_document(" in body
    assert run_example(body, monkeypatch, tmp_path / "routed") == shown(body) != ""


def test_prompted_models_have_their_own_example(tiny_bert, tmp_path, monkeypatch):
    model = SentenceTransformer(tiny_bert, prompts={"query": "query: "}, device="cpu")
    _, body = saved_card(model, tmp_path / "prompted")
    printed = run_example(body, monkeypatch, tmp_path / "prompted")
    assert printed.startswith("(2, 32)\ntensor([[")
    assert "encode_query(" in body


class Loudness(InputModule):
    """A first module that takes sounds and no texts."""

    modalities: ClassVar = ["audio", ("audio", "image")]

    def preprocess(self, inputs, **kwargs):
        return {"samples": torch.tensor(inputs)}

    def forward(self, features, **kwargs):
        return {"sentence_embedding": features["samples"].abs().mean(1, keepdim=True)}

    def get_embedding_dimension(self):
        return 1

    def save(self, output_path, *args, **kwargs):
        self.save_config(output_path)


def test_models_without_texts_get_no_example_of_texts(tmp_path):
    model = SentenceTransformer(modules=[Loudness()], device="cpu")
    model.model_card_data.run_usage_snippet()
    _, body = saved_card(model, tmp_path / "model")
    assert "maps a recording or audio+image to a vector of 1 dimensions" in body
    assert "inputs = ...  # a list; each is a recording or audio+image\n" in body
    assert "How do I" not in body


class Twice(Module):
    """A module that is not part of the library."""

    def forward(self, features, **kwargs):
        return {**features, "sentence_embedding": features["sentence_embedding"] * 2}

    def save(self, output_path, *args, **kwargs):
        self.save_config(output_path)


def test_foreign_modules_need_trust_in_the_example_as_well(tiny_bert, tmp_path):
    model = SentenceTransformer(modules=[Transformer(tiny_bert), Pooling(32), Twice()], device="cpu")
    _, body = saved_card(model, tmp_path / "model")
    assert 'SentenceTransformer("model", trust_remote_code=True)' in body


def test_given_facts_are_in_the_card(tiny_bert, tmp_path):
    data = SentenceTransformerModelCardData(
        language="en",
        license="apache-2.0",
        model_name="Sorting | searching: a model",
        model_id="me/sorter",
        train_datasets=[{"name": "my pairs"}, {"id": "sentence-transformers/all-nli"}],
        task_name="finding functions",
        tags=["mine", "ünïcode: #1"],
    )
    model = SentenceTransformer(tiny_bert, model_card_data=data, device="cpu")
    assert model.model_card_data is data
    assert data.model is model
    data.add_tags(["mine", "late"])
    data.set_base_model("org/base")
    data.set_language(["en", "no"])  # YAML's own "no" is false
    front, body = saved_card(model, tmp_path / "model", train_datasets=["more", "my pairs"])
    assert front == {
        "language": ["en", "no"],
        "license": "apache-2.0",
        "library_name": "sentence-transformers",
        "pipeline_tag": "sentence-similarity",
        "tags": ["mine", "ünïcode: #1", "late"],
        "base_model": "org/base",
        "datasets": ["sentence-transformers/all-nli"],
    }
    assert "\n# Sorting | searching: a model\n" in body
    assert 'SentenceTransformer("me/sorter")' in body
    assert "made from [org/base](https://huggingface.co/org/base)" in body
    assert "It is meant for finding functions." in body
    names = ["my pairs", "[sentence-transformers/all-nli]", "more"]
    positions = [body.index(f"### Training data: {name}") for name in names]
    assert positions == sorted(positions)
    assert body.count("my pairs") == 1


def test_local_paths_are_no_base_model(tiny_bert):
    data = SentenceTransformer(tiny_bert, device="cpu").model_card_data
    assert data.base_model is None
    assert not data.set_base_model(tiny_bert)
    assert not data.set_base_model("../else")
    assert data.set_base_model("org/model", "v1")
    assert (data.base_model, data.base_model_revision) == ("org/model", "v1")
    assert data.get_default_model_name() == "SentenceTransformer based on org/model"


class SimilarityEvaluator:
    """An evaluator of the documented interface."""

    name = "sts-dev"
    primary_metric = "sts-dev_spearman"

    def __call__(self, model, output_path=None, epoch=-1, steps=-1):
        metrics = {"sts-dev_spearman": np.float32(0.5), "sts-dev_pearson": 0.25}
        model.model_card_data.set_evaluation_metrics(self, metrics, epoch, steps)
        return metrics


def test_metrics_are_in_the_card(model, tmp_path):
    metrics = model.evaluate(SimilarityEvaluator(), str(tmp_path / "results"))
    assert (tmp_path / "results").is_dir()
    assert metrics["sts-dev_pearson"] == 0.25
    front, body = saved_card(model, tmp_path / "model")
    assert "### sts-dev" in body
    assert "| **sts-dev_spearman** | **0.5000** |" in body
    assert "| sts-dev_pearson | 0.2500 |" in body
    assert front["metrics"] == ["spearman", "pearson"]
    (result,) = front["model-index"][0]["results"]
    assert result["dataset"] == {"type": "sts-dev", "name": "sts dev"}
    assert result["metrics"] == [
        {"type": "spearman", "value": 0.5, "name": "Spearman"},
        {"type": "pearson", "value": 0.25, "name": "Pearson"},
    ]


def test_the_front_matter_is_what_the_hub_library_reads(model, tmp_path):
    from huggingface_hub import ModelCard

    model.evaluate(SimilarityEvaluator())
    model.save(tmp_path / "model")
    card = ModelCard.load(tmp_path / "model" / "README.md")
    (result,) = [r for r in card.data.eval_results if r.metric_type == "spearman"]
    assert (result.dataset_name, result.metric_value, result.task_type) == ("sts dev", 0.5, "similarity")


def test_a_trained_model_gets_a_new_card_with_its_training(model, tmp_path):
    """What a trainer reports, by the documented methods."""
    from datasets import Dataset

    model.save(tmp_path / "before")
    (tmp_path / "before" / "README.md").write_text("# Old card\n")
    model = SentenceTransformer(tmp_path / "before", device="cpu")
    data = model.model_card_data
    rows = {
        "anchor": ["sort a list", "the dog"],
        "positive": ["to sort", "lazy dog or fox"],
        "score": [0.5, 1.0],
    }
    dataset = Dataset.from_dict(rows)
    loss = torch.nn.MSELoss()
    loss.citation = "@article{mse}"
    data.train_datasets = data.extract_dataset_metadata({"pairs": dataset}, [], {"pairs": loss}, "train")
    data.set_widget_examples(dataset)
    data.set_losses([loss])
    data.non_default_hyperparameters = {"learning_rate": 2e-5}
    data.training_logs = [{"Epoch": 1.0, "Step": 10, "Training Loss": 0.5}]
    data.set_evaluation_metrics(SimilarityEvaluator(), {"sts-dev_spearman": 0.75}, epoch=1, step=10)
    data.start_training_clock()
    data.stop_training_clock()
    data.set_best_model_step(10)
    data.add_tags("generated_from_trainer")
    front, body = saved_card(model, tmp_path / "after")
    assert "Old card" not in body
    assert "### Training data: pairs\n\n2 rows with the columns `anchor`, `positive`, `score`." in body
    # [CLS] sort a list [SEP] is 5 tokens, the dog 4
    assert "| type | text, tokens | text, tokens | float |" in body
    assert "| mean | 4.5000 |" in body
    assert "| sort a list | to sort | 0.5 |" in body
    assert "Loss: `MSELoss`" in body
    assert "| `learning_rate` | 2e-05 |" in body
    assert "| **1.0000** | **10** | **0.5000** | **0.7500** |" in body
    assert "@article{mse}" in body
    assert "Training took 0 h 0 min 0 s." in body
    # The texts of a row first, then what belongs to others; short rows first.
    assert front["widget"] == [
        {"source_sentence": "sort a list", "sentences": ["to sort", "lazy dog or fox"]},
        {"source_sentence": "the dog", "sentences": ["lazy dog or fox", "to sort"]},
    ]
    assert "'sort a list'," in body
    assert {"generated_from_trainer", "dataset_size:2", "loss:MSELoss"} <= set(front["tags"])


class Regression(torch.nn.Module):
    """The smallest thing that transformers' Trainer trains."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(1, 1)
        self.model_card_data = SentenceTransformerModelCardData()

    def forward(self, x, labels):
        prediction = self.linear(x)
        return {"loss": ((prediction - labels) ** 2).mean(), "prediction": prediction}


def test_the_callback_reports_a_run_of_the_trainer(tmp_path):
    pytest.importorskip("accelerate", reason="training needs the extra [train]")
    from transformers import Trainer, TrainingArguments

    from stlib.sentence_transformer.model_card import ModelCardCallback, SentenceTransformerModelCardCallback

    assert ModelCardCallback is SentenceTransformerModelCardCallback
    defaults = TrainingArguments(tmp_path).to_dict()
    rows = [{"x": torch.tensor([float(i)]), "labels": torch.tensor([2.0 * i])} for i in range(8)]
    arguments = TrainingArguments(
        tmp_path,
        max_steps=4,
        learning_rate=0.01,
        logging_steps=2,
        eval_strategy="steps",
        eval_steps=2,
        save_strategy="no",
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    model = Regression()
    trainer = Trainer(
        model, arguments, train_dataset=rows, eval_dataset=rows, callbacks=[ModelCardCallback(defaults)]
    )
    trainer.train()
    data = model.model_card_data
    assert "generated_from_trainer" in data.tags
    expected = {"max_steps": 4, "learning_rate": 0.01, "use_cpu": True, "dataloader_pin_memory": False}
    assert data.non_default_hyperparameters == expected
    other = Regression()
    ModelCardCallback().on_train_begin(arguments, None, None, other)
    assert other.model_card_data.non_default_hyperparameters == expected
    assert [row["Step"] for row in data.training_logs] == [2, 4]
    losses = {log["step"]: log["loss"] for log in trainer.state.log_history if "loss" in log}
    assert {row["Step"]: row["Training Loss"] for row in data.training_logs} == losses
    evaluated = {log["step"]: log["eval_loss"] for log in trainer.state.log_history if "eval_loss" in log}
    assert {row["Step"]: row["Validation Loss"] for row in data.training_logs} == evaluated
    assert data.training_seconds > 0
    assert "| Epoch | Step | Training Loss | Validation Loss |" in data.format_training_logs()


def test_datasets_are_described(model):
    from datasets import Dataset, DatasetDict

    data = model.model_card_data
    one = Dataset.from_dict({"text": ["a", "b", "a"], "label": [0, 1, 1]})
    one.info.download_checksums = {"hf://datasets/org/name@0123abcd/data.csv": {}}
    assert data.infer_datasets(one) == [{"name": "name", "id": "org/name", "revision": "0123abcd"}]
    both = DatasetDict(first=one, second=Dataset.from_dict({"text": ["x"]}))
    assert [entry["name"] for entry in data.infer_datasets(both)] == ["first", "second"]
    assert data.validate_datasets([{"id": "a/b"}, {"name": "n"}, {}]) == [
        {"name": "a/b", "id": "a/b"},
        {"name": "n"},
        {"name": "unnamed"},
    ]
    data.set_label_examples(one)
    assert data.label_example_list == [{"label": 0, "examples": ["a"]}, {"label": 1, "examples": ["b", "a"]}]
    info = data.compute_dataset_metrics(one, {"name": "n"}, None, {"text": "query"})
    assert info["routes"] == {"text": "query"}
    assert info["stats"]["label"] == {"type": "int", "values": {"0": 1 / 3, "1": 2 / 3}}


def test_a_card_of_earlier_versions_is_kept_and_follows_the_id(model, tmp_path):
    card = '# Mine\n\n```python\nmodel = SentenceTransformer("final")\nfinal = Other("final")\n```\n'
    model.model_card_text = card
    model.save(tmp_path / "model")
    assert (tmp_path / "model" / "README.md").read_text() == card
    model.model_card_data.set_model_id("org/model")
    model.save(tmp_path / "model")
    assert (tmp_path / "model" / "README.md").read_text() == card.replace("final", "org/model", 1)
