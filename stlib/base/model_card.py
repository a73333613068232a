"""What the README.md beside a saved model says: facts about the model and its training, and front matter for
the hub. The text itself is put together in :mod:`stlib.base.card.text`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from stlib import __version__
from stlib.base.card.columns import without_folders
from stlib.base.card.datasets import DatasetDescriptions
from stlib.base.card.mapping import CardMapping
from stlib.base.card.text import card_text, rename_in_example, table
from stlib.util.lists import refuse_text

if TYPE_CHECKING:
    from stlib.base.model import BaseModel

_NUMBERS = (int, float, np.number)


@dataclass
class BaseModelCardData(CardMapping, DatasetDescriptions):
    """Facts for the model card. Nothing here uses the network, unless ``validate_datasets`` is told to.

    Attributes:
        runs_example: run the example's inputs each time that a card is written, as the model is in training.

    Args:
        language: language codes, e.g. ``"en"`` or ``["en", "de"]``.
        license: e.g. ``"apache-2.0"``.
        model_name: headline of the card; default: made from the base model.
        model_id: id on the hub, used in the example; set when the model is pushed.
        train_datasets: ``{"name": …, "id": …}`` for each, and what :meth:`compute_dataset_metrics` adds.
        eval_datasets: the same for evaluation.
        task_name: what the model is for, in words.
        tags: for the hub.
        local_files_only: never ask the hub about data sets.
        generate_widget_examples: take examples for the hub's widget from the training data.
    """

    language: str | list[str] | None = field(default_factory=list)
    license: str | None = None
    model_name: str | None = None
    model_id: str | None = None
    train_datasets: list[dict[str, Any]] = field(default_factory=list)
    eval_datasets: list[dict[str, Any]] = field(default_factory=list)
    task_name: str | None = "retrieval"
    tags: list[str] = field(default_factory=lambda: ["sentence-transformers"])
    local_files_only: bool = False
    generate_widget_examples: bool = True

    base_model: str | None = field(default=None, init=False)
    base_model_revision: str | None = field(default=None, init=False)
    non_default_hyperparameters: dict[str, Any] = field(default_factory=dict, init=False)
    all_hyperparameters: dict[str, Any] = field(default_factory=dict, init=False)
    eval_results_dict: dict[Any, dict[str, Any]] = field(default_factory=dict, init=False)
    training_logs: list[dict[str, Any]] = field(default_factory=list, init=False)
    widget: list[dict[str, Any]] = field(default_factory=list, init=False)
    usage_examples: list[str] | None = field(default=None, init=False)
    label_example_list: list[dict[str, Any]] = field(default_factory=list, init=False)
    citations: dict[str, str] = field(default_factory=dict, init=False)
    best_model_step: int | None = field(default=None, init=False)
    ir_model: bool | None = field(default=None, init=False)
    similarities: str | None = field(default=None, init=False)
    training_seconds: float | None = field(default=None, init=False)
    evaluation_seconds: float = field(default=0.0, init=False)
    code_carbon_callback: Any = field(default=None, init=False, repr=False)
    runs_example: bool = field(default=False, init=False, repr=False)
    pipeline_tag: str | None = field(default=None, init=False)
    library_name: str = field(default="sentence-transformers", init=False)
    model: Any = field(default=None, init=False, repr=False)
    folder_name: str | None = field(default=None, init=False, repr=False)
    _started: float | None = field(default=None, init=False, repr=False)
    _results_by_step: dict[int, dict[Any, Any]] = field(default_factory=dict, init=False, repr=False)

    class_name: ClassVar[str] = "BaseModel"

    def __post_init__(self) -> None:
        if isinstance(self.language, str):
            self.language = [self.language]
        self.language = list(self.language or [])
        self.tags = [self.tags] if isinstance(self.tags, str) else list(self.tags)
        refuse_text(train_datasets=self.train_datasets, eval_datasets=self.eval_datasets)
        self.train_datasets = self.validate_datasets(self.train_datasets)
        self.eval_datasets = self.validate_datasets(self.eval_datasets)

    # -- what is set by users, the model and a trainer

    def register_model(self, model: BaseModel) -> None:
        """Remember whose card this is; the base model is noted if it is known."""
        self.model = model
        if self.base_model is None:
            self.try_to_set_base_model()

    def set_model_id(self, model_id: str) -> None:
        """Set the model's id on the hub."""
        self.model_id = model_id

    def set_language(self, language: str | list[str]) -> None:
        """Set the language code, or several."""
        self.language = [language] if isinstance(language, str) else list(language)

    def set_license(self, license: str) -> None:
        """Set the license, e.g. ``"mit"``."""
        self.license = license

    def add_train_datasets(self, names: Iterable[str]) -> None:
        """Name data sets that the model was trained on; ``owner/name`` is taken for an id on the hub."""
        refuse_text(names=names)
        known = {entry.get("id", entry.get("name")) for entry in self.train_datasets}
        new = [{"id" if "/" in name else "name": name} for name in names if name not in known]
        self.train_datasets += self.validate_datasets(new)

    def set_base_model(self, model_id: str, revision: str | None = None) -> bool:
        """Note the model this one was made from; returns whether ``model_id`` has the form of an id.

        A local path is not noted: it would mean nothing to a reader.
        """
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils import validate_repo_id

        try:
            validate_repo_id(model_id)
        except HFValidationError:
            return False
        if Path(model_id).exists():
            return False
        self.base_model, self.base_model_revision = model_id, revision
        return True

    def try_to_set_base_model(self) -> None:
        """Take the base model from the name that the inner transformers model carries, if it is an id."""
        inner: Any = getattr(self.model, "transformers_model", None)
        name = getattr(inner, "name_or_path", None)
        if isinstance(name, str) and name:
            self.set_base_model(name, getattr(inner.config, "_commit_hash", None))

    def set_origin(self, model_id: str, revision: str | None) -> None:
        """Note where the model itself was loaded from, unless its transformer tells of another base."""
        if self.base_model in (None, model_id):
            self.set_base_model(model_id, revision)

    def set_losses(self, losses: list[Any]) -> None:
        """Collect the citations of losses (their ``citation``) by class name, after that of the method, and
        tag the model with the names. Losses of one paper share an entry.
        """
        names: dict[str, list[str]] = {_SENTENCE_BERT: ["Sentence Transformers"]}
        for loss in losses:
            names.setdefault(getattr(loss, "citation", None) or "", []).append(type(loss).__name__)
        names.pop("", None)
        self.citations.update({" and ".join(dict.fromkeys(found)): text for text, found in names.items()})
        self.add_tags([f"loss:{type(loss).__name__}" for loss in losses])

    def set_best_model_step(self, step: int) -> None:
        """Note the training step that the kept weights are from; the metrics are those of that step."""
        self.best_model_step = step
        self.eval_results_dict.update(self._results_by_step.get(step, {}))

    def set_evaluation_metrics(
        self, evaluator: Any, metrics: dict[str, Any], epoch: int = 0, step: int = 0
    ) -> None:
        """Keep the newest metrics of an evaluator, and add its primary one to the training logs.

        Outside of a training ``step`` is -1.
        """
        from copy import deepcopy

        self.eval_results_dict[evaluator] = deepcopy(metrics)
        self._results_by_step.setdefault(step, {})[evaluator] = self.eval_results_dict[evaluator]
        primary = getattr(evaluator, "primary_metric", None)
        chosen = {primary: metrics[primary]} if primary in metrics else dict(metrics)
        if self.training_logs and self.training_logs[-1].get("Step") == step:
            self.training_logs[-1].update(chosen)
        else:
            self.training_logs.append({"Epoch": epoch, "Step": step, **chosen})

    def try_to_set_ir_model_from_evaluators(self) -> None:
        """Take the model for one of queries and documents if an evaluator of retrieval was run."""
        marks = ("InformationRetrieval", "NanoBEIR", "Reranking")
        if self.ir_model is None and self.eval_results_dict:
            names = [type(evaluator).__name__ for evaluator in self.eval_results_dict]
            self.ir_model = any(mark in name for mark in marks for name in names)

    def start_training_clock(self) -> None:
        """Begin to measure the training's duration; :meth:`stop_training_clock` ends it."""
        self._started = time.monotonic()
        self.training_seconds = self.best_model_step = self.similarities = None
        self.evaluation_seconds = 0.0

    def stop_training_clock(self) -> None:
        """Note the time since :meth:`start_training_clock`."""
        self.training_seconds = time.monotonic() - (self._started or time.monotonic())
        self._started = None

    # -- what the card is made from

    def get_default_model_name(self) -> str:
        """Headline when ``model_name`` is not set."""
        kind = type(self.model).__name__ if self.model is not None else self.class_name
        return f"{kind} based on {self.base_model}" if self.base_model else kind

    def get_model_specific_metadata(self) -> dict[str, Any]:
        """Facts that only a family of models has, for :meth:`to_dict`."""
        return {}

    def generate_usage_snippet(self) -> str:
        """Python that loads the model and uses it, as text."""
        name = json.dumps(self.reference(), ensure_ascii=False)
        return f"from stlib import {self.class_name}\n\nmodel = {self.class_name}({name})\n"

    def run_usage_snippet(self) -> None:
        """Run the example's inputs through the model, so that the card shows what it prints."""

    def reference(self) -> str:
        """What the example passes to the constructor: the id, or the name of the folder."""
        return self.model_id or self.folder_name or "path/to/this/folder"

    def format_eval_metrics(self) -> dict[str, Any]:
        """``{"eval_metrics": [{"name", "class_name", "description", "config", "primary_metric", "metrics":
        {…}}], "metrics": [names]}``.
        """
        entries: list[dict[str, Any]] = [
            {
                "name": getattr(evaluator, "name", "") or "",
                "class_name": type(evaluator).__name__,
                "description": getattr(evaluator, "description", _task(evaluator)),
                "config": without_folders(getattr(evaluator, "get_config_dict", dict)()),
                "primary_metric": getattr(evaluator, "primary_metric", None),
                "metrics": {
                    k: float(v) for k, v in metrics.items() if isinstance(v, (int, float, np.number))
                },
            }
            for evaluator, metrics in self.eval_results_dict.items()
        ]
        names = [_bare(name, entry["name"]) for entry in entries for name in entry["metrics"]]
        return {"eval_metrics": entries, "metrics": list(dict.fromkeys(names))}

    def format_training_logs(self) -> str:
        """The training logs as a Markdown table: losses before metrics, the best step in bold.

        What was measured outside of a training is left out.
        """
        logs = [row for row in self.training_logs if row["Step"] >= 0]
        first = {name: place for place, name in enumerate(("Epoch", "Step", "Training Loss"))}
        columns = sorted(
            dict.fromkeys(name for row in logs for name in row),
            key=lambda name: first.get(name, 3 if name.lower().endswith("loss") else 4),
        )
        rows = [[row.get(name, "-") for name in columns] for row in logs]
        bold = [row["Step"] == self.best_model_step for row in logs]
        return table(columns, rows, bold) if rows else ""

    def get_codecarbon_data(self) -> dict[str, Any]:
        """Emissions that a CodeCarbon callback has measured, in the hub's form; ``{}`` without one."""
        tracker = getattr(self.code_carbon_callback, "tracker", None)
        measured = getattr(tracker, "final_emissions_data", None)
        if measured is None:
            return {}
        return {
            "co2_eq_emissions": {
                "emissions": float(measured.emissions) * 1000,  # in grams
                "energy_consumed": float(measured.energy_consumed),
                "source": "codecarbon",
                "training_type": "fine-tuning",
                "cpu_model": measured.cpu_model,
                "ram_total_size": measured.ram_total_size,
                "hours_used": round(float(measured.duration) / 3600, 3),
            }
        }

    def get_training_duration_data(self) -> dict[str, str | None]:
        """``{"training_duration": "1 h 2 min 3 s"}``, and ``evaluation_duration`` for the part of it that
        evaluation took; up to now in a training, and ``{}`` for a model that was not trained here.
        """
        seconds = self.training_seconds
        if self._started is not None:
            seconds = time.monotonic() - self._started
        if seconds is None:
            return {}
        durations: dict[str, str | None] = {"training_duration": _duration(seconds)}
        if self.evaluation_seconds:
            durations["evaluation_duration"] = _duration(self.evaluation_seconds)
        return durations

    def to_dict(self) -> dict[str, Any]:
        """Everything that the card is made from."""
        return {
            "model_name": self.model_name or self.get_default_model_name(),
            "model_id": self.model_id,
            "language": self.language,
            "license": self.license,
            "library_name": self.library_name,
            "pipeline_tag": self.pipeline_tag,
            "tags": self.tags,
            "base_model": self.base_model,
            "base_model_revision": self.base_model_revision,
            "task_name": self.task_name,
            "train_datasets": self.train_datasets,
            "eval_datasets": self.eval_datasets,
            "datasets": [entry["id"] for entry in self.train_datasets if "id" in entry],
            "widget": self.widget,
            "non_default_hyperparameters": self.non_default_hyperparameters,
            "all_hyperparameters": self.all_hyperparameters,
            "citations": self.citations,
            **self.format_eval_metrics(),
            **self.get_codecarbon_data(),
            **self.get_training_duration_data(),
            "versions": _versions() if self.all_hyperparameters else {},
            **self.get_model_specific_metadata(),
        }

    def __str__(self) -> str:
        return self.to_yaml()

    def to_yaml(self, line_break: str | None = None) -> str:
        """The front matter, without its ``---`` lines: what the hub reads, and only what is known."""
        import yaml

        facts = self.to_dict()
        keys = (
            "language",
            "license",
            "library_name",
            "pipeline_tag",
            "tags",
            "base_model",
            "datasets",
            "metrics",
            "widget",
            "co2_eq_emissions",
        )
        front = {key: facts[key] for key in keys if facts.get(key)}
        if facts["eval_metrics"]:
            front["model-index"] = [
                {"name": facts["model_name"], "results": [_result(e) for e in facts["eval_metrics"]]}
            ]
        text = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, line_break=line_break)
        return text.strip()


def __getattr__(name: str) -> Any:
    # The callback imports the Trainer of transformers, which takes seconds and only training needs.
    if name == "BaseModelCardCallback":
        from stlib.base.card.callback import BaseModelCardCallback

        return BaseModelCardCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), "BaseModelCardCallback"})


def generate_model_card(model: BaseModel, name: str | None = None) -> str:
    """Text of the model card.

    A card that the model was loaded with is kept, unless the model was trained since; only the name in its
    example follows a new id.

    Args:
        model: whose card it is.
        name: name of the folder, or the id, for the example.
    """
    data = model.model_card_data
    data.model = model
    data.folder_name = name
    if model.model_card_text and "generated_from_trainer" not in data.tags:
        return rename_in_example(model.model_card_text, data.model_id)
    data.try_to_set_ir_model_from_evaluators()
    if data.runs_example:
        data.run_usage_snippet()
    return card_text(data)


def _bare(metric: str, evaluator: str) -> str:
    """A metric's name without the evaluator's in front of it."""
    return metric.removeprefix(f"{evaluator}_") if evaluator else metric


def _result(entry: dict[str, Any]) -> dict[str, Any]:
    """The metrics of an evaluator as the hub reads them; what is no number cannot be compared there."""
    name, task = entry["name"], entry["description"]
    metrics = {_bare(metric, name): value for metric, value in entry["metrics"].items()}
    return {
        "task": {"type": task.lower().replace(" ", "-"), "name": task},
        "dataset": {
            "type": name or "unknown",
            "name": name.replace("_", " ").replace("-", " ") if name else "Unknown",
        },
        "metrics": [
            {"type": metric, "value": value, "name": metric.replace("_", " ").title()}
            for metric, value in metrics.items()
            if math.isfinite(value)
        ],
    }


def _task(evaluator: Any) -> str:
    return type(evaluator).__name__.removesuffix("Evaluator")


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min {seconds} s"


def _versions() -> dict[str, str]:
    """Versions of what a training depends on, of the packages that are there."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version(), "stlib": __version__}
    for package in ("transformers", "torch", "accelerate", "datasets", "tokenizers"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


_SENTENCE_BERT = """
@inproceedings{reimers-gurevych-2019-sentence-bert,
    title = {Sentence-{BERT}: Sentence Embeddings using {S}iamese {BERT}-Networks},
    author = {Reimers, Nils and Gurevych, Iryna},
    booktitle = {Proceedings of EMNLP-IJCNLP 2019},
    year = {2019},
    url = {https://arxiv.org/abs/1908.10084}
}
"""
