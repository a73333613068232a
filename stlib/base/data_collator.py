"""Rows of a dataset to one batch of features for the loss."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from stlib.errors import InvalidInput, InvalidOption
from stlib.util.dataset import DEFAULT_LABEL_COLUMNS
from stlib.util.lists import refuse_text

logger = logging.getLogger(__name__)

# Where losses that tell columns apart by position expect these names
_USUAL_ORDERS = (
    ("anchor", "positive", "negative"),
    ("question", "answer"),
    ("query", "response"),
    ("hypothesis", "entailment", "contradiction"),
)


@dataclass
class BaseDataCollator:
    """Turns rows into features: ``{column}_input_ids`` and the like for each column, and ``label``.

    Every column but the label is preprocessed, in the order of the dataset; losses tell columns apart by this
    order and not by name.

    Args:
        preprocess_fn: ``model.preprocess``: values of one column and ``prompt``, ``task`` and (if there is
            one) ``max_length`` to a dict of features.
        valid_label_columns: names a label column may have; the first one present is the label.
        router_mapping: the route (task) of each column, ``{column: task}``, or by dataset,
            ``{dataset: {column: task}}``.
        prompts: one text for all columns; ``{column: text}``; ``{dataset: text}``; or
            ``{dataset: {column: text}}``. Names of datasets count for rows with a ``dataset_name``.
        max_length: tokens per text, for all columns or by task.
    """

    preprocess_fn: Callable[..., dict[str, Any]]
    valid_label_columns: list[str] = field(default_factory=lambda: list(DEFAULT_LABEL_COLUMNS))
    router_mapping: dict[str, str] | dict[str, dict[str, str]] | None = field(
        default_factory=dict, repr=False
    )
    prompts: str | dict[str, str] | dict[str, dict[str, str]] | None = field(default_factory=dict, repr=False)
    max_length: int | dict[str, int] | None = field(default=None, repr=False)

    _checked: set[tuple[str, ...]] = field(default_factory=set, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        refuse_text(valid_label_columns=self.valid_label_columns)

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        """One batch of the rows ``features``, which all have the same columns.

        Raises:
            InvalidInput: labels are not numbers of one shape.
            InvalidOption: prompts are by dataset, and the rows do not say which dataset they are of.
        """
        if not features:
            return {}
        self.maybe_warn_about_column_order([name for name in features[0] if name != "dataset_name"])
        batch, columns = self._begin_batch(features)
        prompts, routes = self._prompts_of(batch), self._routes_of(batch)
        for position, name in enumerate(columns):
            task = self.task_of_column(name, position, routes)
            prompt = prompts if isinstance(prompts, str) else (prompts or {}).get(name)
            self._add_column(batch, name, [row[name] for row in features], prompt, task)
        return batch

    def _begin_batch(self, features: list[dict[str, Any]]) -> tuple[dict[str, Any], list[str]]:
        """A batch with the name of its dataset and its labels, and the columns that are inputs."""
        columns = list(features[0])
        batch: dict[str, Any] = {}
        if "dataset_name" in columns:
            columns.remove("dataset_name")
            batch["dataset_name"] = features[0]["dataset_name"]
        label = next((name for name in self.valid_label_columns if name in columns), None)
        if label is not None:
            columns.remove(label)
            batch["label"] = self.labels_of([row[label] for row in features], label)
        self._warn_about_ids(columns)
        return batch, columns

    def labels_of(self, values: list[Any], name: str) -> Any:
        """Labels of a batch in the form that losses take; ``name`` is their column."""
        return label_tensor(values, name)

    def task_of_column(self, name: str, position: int, routes: dict[str, str]) -> str | None:
        """The task a column is preprocessed with; ``position`` counts columns from 0, without the label."""
        return routes.get(name)

    def maybe_warn_about_column_order(self, column_names: list[str]) -> None:
        """Warn, once for the same columns, when a usual name such as "anchor" is in an unusual place."""
        if tuple(column_names) in self._checked:
            return
        self._checked.add(tuple(column_names))
        for order in _USUAL_ORDERS:
            for expected, name in enumerate(order):
                if name in column_names and column_names.index(name) != expected:
                    usual = [name for name in order if name in column_names]
                    logger.warning(
                        "column %r is at index %d, where losses such as MultipleNegativesRankingLoss take it "
                        "by its place and not by its name; it usually comes at index %d. Unless this is "
                        "meant, change the order: dataset = dataset.select_columns(%s)",
                        name,
                        column_names.index(name),
                        expected,
                        [*usual, *(name for name in column_names if name not in usual)],
                    )
                    return

    def _warn_about_ids(self, columns: list[str]) -> None:
        ids = [name for name in columns if name == "id" or name.endswith(("_id", "_ids", "_idx"))]
        # Kept beside the checked orders, under a key that no row has
        key = ("", *ids)
        if ids and key not in self._checked:
            self._checked.add(key)
            logger.warning(
                "columns %s look like identifiers but are trained on as text; look their texts up first with "
                "stlib.util.resolve_ids, or remove them",
                ids,
            )

    def _routes_of(self, batch: dict[str, Any]) -> dict[str, str]:
        routes: dict[str, Any] = self.router_mapping or {}
        if _is_nested(routes):
            return routes.get(batch.get("dataset_name", ""), {})
        return routes

    def _prompts_of(self, batch: dict[str, Any]) -> str | dict[str, str] | None:
        prompts: Any = self.prompts
        if not isinstance(prompts, dict) or not prompts:
            return prompts
        if "dataset_name" in batch and batch["dataset_name"] in prompts:
            return prompts[batch["dataset_name"]]
        if not _is_nested(prompts):
            return prompts
        if "dataset_name" in batch:
            return {}
        raise InvalidOption(
            f"prompts came as a nested dictionary for the datasets {list(prompts)}, but the rows are of one "
            "dataset without a name; give {column: prompt}, or a DatasetDict to train on"
        )

    def _max_length_of(self, task: str | None) -> int | None:
        if isinstance(self.max_length, dict):
            return None if task is None else self.max_length.get(task)
        return self.max_length

    def _add_column(
        self, batch: dict[str, Any], name: str, values: list[Any], prompt: str | None, task: str | None
    ) -> None:
        length = self._max_length_of(task)
        # Functions that take no length work as long as none is asked for
        limit = {} if length is None else {"max_length": length}
        for key, value in self.preprocess_fn(values, prompt=prompt, task=task, **limit).items():
            batch[f"{name}_{key}"] = value
        # For losses that run the model once more
        if task is not None:
            batch[f"{name}_task"] = task


def _is_nested(mapping: dict[str, Any]) -> bool:
    return isinstance(next(iter(mapping.values()), None), dict)


def label_tensor(labels: Any, name: str) -> torch.Tensor:
    """Labels as one tensor.

    Args:
        labels: a list of numbers, of lists of as many numbers each, or of tensors; or a tensor or array.
        name: their column, for the error.

    Raises:
        InvalidInput: they are something else.
    """
    try:
        if not isinstance(labels, (list, tuple)):
            return torch.as_tensor(labels)
        if not labels:
            return torch.tensor([])
        return torch.stack(labels) if isinstance(labels[0], torch.Tensor) else torch.tensor(labels)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInput(
            f"the label column {name!r} must hold numbers, or lists of as many numbers in each row, but a "
            f"batch of it has {labels[:2]!r}; convert it, or rename it if it is no label"
        ) from error
