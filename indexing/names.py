"""The names that a person may give, and what stands where none is given. Nothing is imported here.

Commands need them for `--help`, which should not load numpy; whoever acts on a name takes it from here too.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import Final, Literal, TypeAlias, get_args

__all__ = [
    "BUNDLED_MODEL",
    "BUNDLED_RERANKER",
    "DEFAULT_ENGINE",
    "DEFAULT_MODE",
    "DEFAULT_PRECISION",
    "DEFAULT_RERANK_DEPTH",
    "DEFAULT_RESULTS",
    "ENGINES",
    "FAR_ENGINES",
    "FEATURES",
    "FILE_ENGINES",
    "LEGS",
    "MODES",
    "MODE_LEGS",
    "NO_MODEL",
    "OPTIONAL_LEGS",
    "PRECISIONS",
    "ROLES",
    "SERVING_RERANKER",
    "TOKENS_RERANKER",
    "Precision",
    "RerankerChoice",
    "modes_with",
    "rerankers_with",
]

LEGS = ("semantic", "keyword", "sparse", "memory")
"""What a search can walk on: by meaning, by words, by weighted terms where the collection has them, by what
was judged for similar questions where a serving has learned that. Each is a file of `indexing.search.legs`.
"""
OPTIONAL_LEGS = ("sparse", "memory")
"""Those that not every collection has."""
MODE_LEGS: dict[str, tuple[str, ...]] = {
    "hybrid": LEGS,
    "semantic": ("semantic",),
    "keyword": ("keyword",),
    "sparse": ("sparse",),
}
"""A mode is a name for a list of legs."""
FEATURES = ("title", "naming", "length")
"""What may decide beside the legs; `indexing.search.features` says what each is."""
MODES = tuple(MODE_LEGS)


def modes_with(roles: Collection[str]) -> tuple[str, ...]:
    """The modes of a collection whose passages have `roles` beside their vectors, see `ROLES`."""
    return tuple(mode for mode in MODES if mode not in ROLES or mode in roles)


DEFAULT_MODE = "hybrid"

FILE_ENGINES = ("faiss", "usearch")
"""Vector engines whose indexes lie in files of this machine; `indexing.vectors` knows where each is."""
SERVER_ENGINES = ("pgvector",)
"""Those of the server that a catalog is kept by."""
FAR_ENGINES = ("milvus",)
"""Those of a server of their own, beside whatever database the catalog lies in."""
ENGINES = (*FILE_ENGINES, *SERVER_ENGINES, *FAR_ENGINES)
DEFAULT_ENGINE = "faiss"  # exact, and fast enough for a million passages

Precision: TypeAlias = Literal["float32", "int8", "uint8", "binary", "ubinary"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
"""How vectors are stored; `indexing.quantization` says what each is."""
DEFAULT_PRECISION = "int8"  # a quarter of float32 at the same quality

ROLES = ("sparse", "tokens")
"""What a passage may have beside its vector, each by a model of its own: weighted terms, which are searched,
and vectors of its tokens, by which a reranker reads.
"""

NO_MODEL = ""
"""Fingerprint of a generation whose vectors somebody brings."""

# `stlib.runtime` calls them so; importing it would load numpy.
BUNDLED_MODEL = "stlib-static-en"
BUNDLED_RERANKER = "stlib-rerank-en"

DEFAULT_RESULTS = 10
DEFAULT_RERANK_DEPTH = 50
"""Documents that a reranker reads, the best first."""


TOKENS_RERANKER = "tokens"
"""Re-orders by the vectors of tokens that a collection stores: a name that stands for no folder."""


def rerankers_with(roles: Collection[str]) -> tuple[str, ...]:
    """What stands for a reranker by name alone in a collection whose passages have `roles`, see `ROLES`."""
    return (BUNDLED_RERANKER, *([TOKENS_RERANKER] if TOKENS_RERANKER in roles else []))


class RerankerChoice(Enum):
    """What a search may say of reranking beside a model, or None for no reranking."""

    SERVING = "the serving's"


SERVING_RERANKER: Final = RerankerChoice.SERVING
"""The reranker of the serving that answers, none where it has none: what a search gets that says nothing."""
