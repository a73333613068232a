"""Which tokens of a text count in late interaction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stlib.errors import ModelConfigError
from stlib.runtime.files import read_object
from stlib.runtime.modules.base import EXPANDED, Features


class TokenMask:
    """Sets ``attention_mask`` to the tokens whose vectors are scored, bool ``[n, tokens]``.

    These are the tokens of the text and, for the task ``"query"``, those it was filled up with; without those
    of a list of words, such as punctuation, for some tasks.

    Args:
        skip_words: tokens that are left out; those that are no single token of the tokenizer are passed over.
        skip_tasks: the tasks for which they are; no task counts as ``"document"``.
        keep_ids: if any, the only ids that count, for all tasks but ``"query"``.
    """

    dimension = None

    def __init__(
        self,
        skip_words: tuple[str, ...] = (),
        skip_tasks: tuple[str, ...] = ("document",),
        keep_ids: tuple[int, ...] = (),
    ) -> None:
        self.skip_words = skip_words
        self.skip_tasks = skip_tasks
        self.keep_ids = keep_ids
        self._skipped: NDArray[np.int64] | None = None

    @classmethod
    def load(cls, folder: Path) -> TokenMask:
        """Read ``config.json``; without one all tokens count.

        Raises:
            ModelConfigError: a setting has another form.
        """
        path = folder / "config.json"
        config = read_object(path)
        tasks = config.get("skiplist_tasks")
        return cls(
            _list_of(str, config, "skiplist_words", path),
            ("document",) if tasks is None else _list_of(str, config, "skiplist_tasks", path),
            _list_of(int, config, "keep_only_token_ids", path),
        )

    def find_words(self, id_of: Callable[[str], int | None]) -> None:
        """Look the words up among the tokens of the model's tokenizer; once, before the first text."""
        found = {id_of(word) for word in self.skip_words} - {None}
        self._skipped = np.array(sorted(i for i in found if i is not None), np.int64)

    def forward(self, features: Features) -> Features:
        ids, task = features["input_ids"], features.get("task")
        counts = features["attention_mask"] != 0
        if task == "query" and EXPANDED in features:
            counts = counts | features[EXPANDED]
        if (task or "document") in self.skip_tasks and self._skipped is not None and len(self._skipped):
            counts = counts & ~np.isin(ids, self._skipped)
        if task != "query" and self.keep_ids:
            counts = counts & np.isin(ids, self.keep_ids)
        features["attention_mask"] = counts
        return features

    def signature(self) -> dict[str, Any]:
        return {
            "kind": "TokenMask",
            "skip": list(self.skip_words),
            "tasks": list(self.skip_tasks),
            "keep": list(self.keep_ids),
        }


def _list_of(kind: type, config: dict[str, Any], key: str, path: Path) -> tuple[Any, ...]:
    value = config.get(key)
    if isinstance(value, str) and kind is str:
        return (value,)
    value = [] if value is None else value
    if not isinstance(value, list) or not all(
        isinstance(one, kind) and not isinstance(one, bool) for one in value
    ):
        raise ModelConfigError(f"{path}: {key}={value!r}; allowed is a list of {kind.__name__}, or null")
    return tuple(value)
