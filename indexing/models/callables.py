"""Any function from texts to vectors as an encoder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from indexing.errors import BadInput

__all__ = ["CallableEncoder"]

# What tells one function from another: what it makes of these. Four digits survive another processor.
_PROBES = ("The quick brown fox jumps over the lazy dog.", "water", "How do I sort a list?")
_DIGITS = 4

_TOKEN = re.compile(r"\w{1,4}|[^\w\s]")


class CallableEncoder:
    """Embeds questions and documents alike by `function`, which takes a list of texts and returns numbers
    [n, d].

    Raises:
        BadInput: it returns something else.
    """

    def __init__(self, function: Callable[[list[str]], Any]) -> None:
        self._function = function
        self.name = str(getattr(function, "__name__", type(function).__name__))
        probes = self._call(list(_PROBES), None)
        self.dimension = int(probes.shape[1])
        rounded = np.round(probes.astype(np.float64), _DIGITS) + 0.0  # no negative zeros
        self.fingerprint = "function-" + hashlib.sha256(rounded.tobytes()).hexdigest()

    def encode_query(self, texts: Sequence[str], **options: Any) -> np.ndarray:
        return self._call(list(texts), self.dimension)

    encode_document = encode_query

    def token_spans(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Four letters, or one other character, for a token: what passages are measured by."""
        return [
            np.asarray([match.span() for match in _TOKEN.finditer(text)], np.int32).reshape(-1, 2)
            for text in texts
        ]

    def _call(self, texts: list[str], dimension: int | None) -> np.ndarray:
        if not texts:
            return np.empty((0, dimension or 0), np.float32)
        try:
            vectors = np.asarray(self._function(texts), dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise BadInput(
                f"the function {self.name!r} failed on {len(texts)} texts ({type(error).__name__}: "
                f"{error}); it "
                "takes a list of texts and returns an array of numbers, a row for each"
            ) from error
        wanted = (len(texts), dimension or (vectors.shape[-1] if vectors.ndim == 2 else 0))
        if vectors.shape != wanted or not vectors.shape[1]:
            expected = f"[{len(texts)}, {dimension or 'd'}]"
            raise BadInput(
                f"the function {self.name!r} returned the shape {list(vectors.shape)}, not {expected}"
            )
        if not np.isfinite(vectors).all():
            raise BadInput(f"the function {self.name!r} returned NaN or infinite values")
        return vectors
