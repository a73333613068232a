"""Dense bi-encoders: one vector per text."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stlib.sentence_transformer.model import SentenceTransformer

__all__ = ["SentenceTransformer"]


def __getattr__(name: str) -> Any:
    if name != "SentenceTransformer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("stlib.sentence_transformer.model").SentenceTransformer
