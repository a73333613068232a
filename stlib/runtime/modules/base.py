"""What the modules of a pipeline have in common."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from stlib.runtime.words import TokenReader

Features = dict[str, Any]
"""What flows through a pipeline, for a batch of ``n`` texts.

- ``input_ids``, ``attention_mask``, ``token_type_ids``: int64 ``[n, tokens]``
- ``token_embeddings``: float32 ``[n, tokens, d]``
- ``sentence_embedding``: float32 ``[n, d]``
- ``prompt_length``: tokens of the prompt in front of each text, special tokens included
- ``query_expansion_positions``: bool ``[n, tokens]``, tokens that a query was filled up with
- ``side_by_side``: whether other batches run at the same time
- ``task``: ``"query"``, ``"document"``, another route's name, or None
"""

Rows = slice | NDArray[np.intp]
"""Which texts a batch holds, as an index into the result."""

SENTENCE_EMBEDDING = "sentence_embedding"
TOKEN_EMBEDDINGS = "token_embeddings"  # noqa: S105 - the name of a feature, no secret
EXPANDED = "query_expansion_positions"


class Module(Protocol):
    """A step that enriches the features. Instances are never changed by a call, so threads may share them."""

    @property
    def dimension(self) -> int | None:
        """Width of what the module makes; None if it keeps the width of what it gets."""

    def forward(self, features: Features) -> Features:
        """Enrich the features and return them."""

    def signature(self) -> dict[str, Any]:
        """All that decides the result, as JSON values: settings, and digests of files and weights."""


@runtime_checkable
class InputModule(Module, Protocol):
    """The first module of a pipeline, which turns texts into features."""

    @property
    def max_seq_length(self) -> int | None:
        """Tokens kept per text, special ones included; None without a limit."""

    def batches(self, texts: list[str], prompt: str, task: str | None) -> Iterator[tuple[Rows, Features]]:
        """The texts with ``prompt`` in front of each, in batches of one forward pass."""

    def token_reader(self, task: str | None) -> TokenReader:
        """Reads the tokens of texts of this task."""


def unit_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors scaled to length 1 along the last axis; zero vectors stay zero."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(norms, np.float32(1e-12))


def available_cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every platform
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def array_digest(*tensors: NDArray[Any] | None) -> str:
    """SHA-256 over types, shapes and values."""
    digest = hashlib.sha256()
    for tensor in tensors:
        if tensor is not None:
            digest.update(f"{tensor.dtype.str}{list(tensor.shape)}".encode())
            digest.update(np.ascontiguousarray(tensor).data)
    return digest.hexdigest()
