"""Vectors by one of our models. See `indexing.frameworks.llamaindex`."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr

from indexing.models.encoders import load_encoder, normalise
from indexing.names import BUNDLED_MODEL

__all__ = ["StlibEmbedding"]


class StlibEmbedding(BaseEmbedding):
    """Vectors as collections make them: of length 1, a query by its own prompt or route. `model` as for
    `Collection.create`: a folder, a name, an encoder; None is the bundled model.
    """

    _encoder: Any = PrivateAttr()

    def __init__(self, model: Any = None, **given: Any) -> None:
        named = {"model_name": model if isinstance(model, str) else BUNDLED_MODEL}
        super().__init__(**{**named, **given})
        self._encoder = load_encoder(model)

    @classmethod
    def class_name(cls) -> str:
        return "StlibEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        return _lists(self._encoder.encode_query([query]))[0]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return _lists(self._encoder.encode_document(list(texts))) if texts else []

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)


def _lists(vectors: Any) -> list[list[float]]:
    lists: list[list[float]] = normalise(np.asarray(vectors, np.float32)).tolist()
    return lists
