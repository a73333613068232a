"""Which tokens count when queries and documents are compared token by token."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from stlib.base.modules.module import Module
from stlib.util.tensor import repad_flattened_features

logger = logging.getLogger(__name__)

DOCUMENT = "document"
"""The task that inputs have which were encoded without one."""


class MultiVectorMask(Module):
    """Turn ``features["attention_mask"]`` into the mask ``[n, tokens]`` of the tokens that are scored.

    The tokens of the text count, and for queries those that the transformer filled up with
    (``query_expansion``), whether or not it attended to them. Of documents some can be left out. Features
    without ``input_ids``, as of pictures alone, stay as they are.

    Args:
        skiplist_words: tokens that do not count, as the tokenizer spells them; ``list(string.punctuation)``
            is what ColBERT leaves out. After a change, call :meth:`resolve_with_tokenizer`.
        skiplist_tasks: tasks whose tokens are held against the list, one name or several. Default: documents.
        keep_only_token_ids: of inputs that are no queries, count these tokens only, e.g. the id of the tokens
            that stand for a picture.
    """

    without_memory: ClassVar[bool] = True
    config_keys: ClassVar[list[str]] = ["skiplist_words", "skiplist_tasks", "keep_only_token_ids"]
    forward_kwargs: ClassVar[set[str]] = {"task"}

    def __init__(
        self,
        skiplist_words: Sequence[str] | None = None,
        *,
        skiplist_tasks: str | Sequence[str] | None = None,
        keep_only_token_ids: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.skiplist_words = list(skiplist_words or [])
        self.skiplist_tasks = task_names(skiplist_tasks)
        self.keep_only_token_ids = None if keep_only_token_ids is None else list(keep_only_token_ids)
        self._skipped_ids: list[int] = []

    def on_model_ready(self, model: Any) -> None:
        self.resolve_with_tokenizer(model.tokenizer)

    def resolve_with_tokenizer(self, tokenizer: Any) -> None:
        """Look the ids of ``skiplist_words`` up; words that are no token are left out, with a warning."""
        unknown = getattr(tokenizer, "unk_token", None)
        unknown_id = getattr(tokenizer, "unk_token_id", None)
        ids = {word: tokenizer.convert_tokens_to_ids(word) for word in self.skiplist_words}
        missing = [word for word, i in ids.items() if i is None or (i == unknown_id and word != unknown)]
        if missing:
            logger.warning(
                "skiplist_words holds %s, which are no tokens of this tokenizer; they are not skipped",
                missing,
            )
        self._skipped_ids = [i for word, i in ids.items() if word not in missing]

    def forward(self, features: dict[str, Any], task: str | None = None, **kwargs: Any) -> dict[str, Any]:
        if "cu_seq_lens_q" in features:
            features = repad_flattened_features(features)
        ids = features.get("input_ids")
        if ids is None:
            return features
        mask = features["attention_mask"].bool()
        added = features.get("query_expansion_positions") if task == "query" else None
        if added is not None:
            mask = mask | added.bool()
        if (task or DOCUMENT) in self.skiplist_tasks and self._skipped_ids:
            mask = mask & ~_are_among(ids, self._skipped_ids)
        if task != "query" and self.keep_only_token_ids:
            mask = mask & _are_among(ids, self.keep_only_token_ids)
        features["attention_mask"] = mask
        return features

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        self.save_config(output_path)


def task_names(tasks: str | Sequence[str] | None) -> list[str]:
    """Names of tasks as a list; documents by default."""
    if tasks is None:
        return [DOCUMENT]
    return [tasks] if isinstance(tasks, str) else list(tasks)


def _are_among(ids: Tensor, some: list[int]) -> Tensor:
    return torch.isin(ids, torch.tensor(some, dtype=ids.dtype, device=ids.device))
