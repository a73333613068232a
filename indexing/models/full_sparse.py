"""A SparseEncoder of the library in the protocol that an index knows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from indexing.models.full_models import module_settings, weights_digest
from stlib.runtime import SparseRows
from stlib.util.forks import cached_property

if TYPE_CHECKING:
    from stlib import SparseEncoder

__all__ = ["FullSparseEncoder"]


class FullSparseEncoder:
    """Weighted terms by torch."""

    def __init__(self, model: SparseEncoder) -> None:
        self._model = model
        # Asked of what it gives: a pooling may learn the size of the vocabulary from its first batch.
        self.dimension = int(model.encode_document([""], **_OPTIONS).shape[1])
        self.source: str | None = getattr(model, "loaded_from", None)
        """What loads the model again; None for one made in memory."""
        self.name = Path(self.source).name if self.source else "SparseEncoder"

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the names, shapes and values of the weights, the prompts, the bound on terms, and the
        settings of modules: how words are pooled is one of them.
        """
        model = self._model
        header = [sorted(model.prompts.items()), model.max_active_dims, module_settings(model)]
        return weights_digest(json.dumps(header, sort_keys=True), model.state_dict())

    def encode_query(self, texts: Sequence[str]) -> SparseRows:
        return _rows(self._model.encode_query(list(texts), **_OPTIONS), len(texts))

    def encode_document(self, texts: Sequence[str]) -> SparseRows:
        return _rows(self._model.encode_document(list(texts), **_OPTIONS), len(texts))

    def words(self, terms: Sequence[int]) -> list[str]:
        return [str(word) for word in self._model.tokenizer.convert_ids_to_tokens(list(map(int, terms)))]


_OPTIONS: dict[str, Any] = {
    "convert_to_tensor": True,
    "convert_to_sparse_tensor": True,
    "save_to_cpu": True,
    "show_progress_bar": False,
}


def _rows(tensor: Any, count: int) -> SparseRows:
    """Of a sparse tensor [n, vocabulary]."""
    tensor = tensor.coalesce()
    rows, terms = tensor.indices().numpy()
    weights = tensor.values().float().numpy()
    kept = weights > 0
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows[kept], minlength=count))]).astype(np.int64)
    return SparseRows(starts, terms[kept].astype(np.int32), weights[kept].astype(np.float32))
