"""Rows of a dataset to one batch of features, for models that make a vector per token."""

from __future__ import annotations

from dataclasses import dataclass

from stlib.base.data_collator import BaseDataCollator


@dataclass
class MultiVectorEncoderDataCollator(BaseDataCollator):
    """The collator of :class:`MultiVectorEncoderTrainer`; see :class:`BaseDataCollator`. The first column is
    of queries and the others of documents, as the losses take them, unless ``router_mapping`` says otherwise.
    """

    def task_of_column(self, name: str, position: int, routes: dict[str, str]) -> str | None:
        return routes.get(name) or ("query" if position == 0 else "document")
