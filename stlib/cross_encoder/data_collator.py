"""Rows of a dataset to one batch of raw columns, for models that read several columns together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from stlib.base.data_collator import BaseDataCollator, label_tensor
from stlib.errors import InvalidInput, InvalidOption

RESERVED_COLUMNS = ("prompt", "task")
"""What a batch carries beside columns, label and name of the data set."""


@dataclass
class CrossEncoderDataCollator(BaseDataCollator):
    """Turns rows into columns of raw values: which values make a pair is the loss's choice, so it runs the
    model's ``preprocess`` itself.

    A batch has each column as a list; ``label`` as a tensor, or as a list of tensors where labels are lists,
    which may differ in length; ``prompt`` and ``task`` if there are any.

    Args:
        preprocess_fn: not called; losses call that of their model.
        valid_label_columns: names a label column may have; the first one present is the label.
        router_mapping: the route (task) by dataset.
        prompts: one text, or a text by dataset.
        max_length: without effect, as texts stay as they are.

    Raises:
        InvalidOption: prompts or routes are for single columns.
    """

    def __post_init__(self) -> None:
        for argument, example in (("prompts", "'Search: '"), ("router_mapping", "'rerank'")):
            mapping: Any = getattr(self, argument)
            if isinstance(mapping, Mapping) and any(isinstance(one, Mapping) for one in mapping.values()):
                raise InvalidOption(
                    f"{argument} is by column, but a CrossEncoder reads columns together; give one for each "
                    f"data set, such as {{'first': {example}, 'second': {example}}}"
                )

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        """One batch of the rows ``features``, which all have the same columns.

        Raises:
            InvalidInput: labels are no numbers, or a column's name is one of ``RESERVED_COLUMNS``.
        """
        if not features:
            return {}
        batch, columns = self._begin_batch(features)
        for name, mapping in (("prompt", self.prompts), ("task", self.router_mapping)):
            if value := _of_dataset(mapping, batch.get("dataset_name")):
                batch[name] = value
        for name in columns:
            if name in RESERVED_COLUMNS:
                raise InvalidInput(f"a column is called {name!r}, which batches use otherwise; rename it")
            batch[name] = [row[name] for row in features]
        return batch

    def labels_of(self, values: list[Any], name: str) -> torch.Tensor | list[torch.Tensor]:
        """One tensor, or one for each row where labels are lists."""
        if isinstance(values[0], (list, tuple)) or getattr(values[0], "shape", None):
            return [label_tensor(label, name) for label in values]
        return label_tensor(values, name)


def _of_dataset(mapping: Any, dataset_name: str | None) -> str | None:
    """The text for a dataset of a mapping, or the one text for all."""
    return mapping if isinstance(mapping, str) else (mapping or {}).get(dataset_name)
