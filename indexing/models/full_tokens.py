"""A MultiVectorEncoder of the library in the protocol that an index knows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from indexing.models.full_models import module_settings, weights_digest
from stlib.util.forks import cached_property

if TYPE_CHECKING:
    from stlib import MultiVectorEncoder

__all__ = ["FullTokenEncoder"]


class FullTokenEncoder:
    """Vectors of tokens by torch."""

    def __init__(self, model: MultiVectorEncoder) -> None:
        self._model = model
        self.dimension = int(model.get_embedding_dimension() or 0)
        self.source: str | None = getattr(model, "loaded_from", None)
        """What loads the model again; None for one made in memory."""
        self.name = Path(self.source).name if self.source else "MultiVectorEncoder"

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the names, shapes and values of the weights, the prompts, and the settings of modules:
        which tokens count, and how many, is one of them.
        """
        settings = module_settings(self._model)
        header = json.dumps([sorted(self._model.prompts.items()), settings], sort_keys=True)
        return weights_digest(header, self._model.state_dict())

    def encode_query(self, texts: Sequence[str]) -> list[np.ndarray]:
        return _arrays(self._model.encode_query(list(texts), show_progress_bar=False))

    def encode_document(self, texts: Sequence[str]) -> list[np.ndarray]:
        return _arrays(self._model.encode_document(list(texts), show_progress_bar=False))


def _arrays(vectors: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [np.asarray(one, np.float32) for one in vectors]
