"""Vector engines behind one contract, and the snapshots they are kept in.

`base.py` is the contract, one file holds one engine and is the only place that imports it.
"""

from __future__ import annotations

from importlib import import_module

from indexing.errors import BadInput
from indexing.names import ENGINES, FILE_ENGINES, SERVER_ENGINES
from indexing.vectors.base import Hits, VectorIndex

__all__ = ["Hits", "VectorIndex", "check_engine", "engine_class"]

# Where the class of each engine is; `engine_class` imports it when it is wanted.
_CLASSES = {
    "faiss": ("indexing.vectors.faiss", "FaissIndex"),
    "usearch": ("indexing.vectors.usearch", "UsearchIndex"),
    "pgvector": ("indexing.vectors.pgvector", "PgvectorIndex"),
    "milvus": ("indexing.vectors.milvus", "MilvusIndex"),
}

# Modules that a package of another name brings
_PACKAGES = {"faiss": "faiss-cpu"}


def engine_class(name: str) -> type[VectorIndex]:
    """The class of an engine. Raises `BadInput` for an unknown name or one that is not installed."""
    if name not in _CLASSES:
        raise BadInput(f"unknown vector engine {name!r}; use one of {', '.join(ENGINES)}")
    module, attribute = _CLASSES[name]
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        package = _PACKAGES.get(str(error.name), error.name)
        raise BadInput(
            f"the vector engine {name} needs the package {error.name}: pip install {package}"
        ) from error


def check_engine(name: str, precision: str, dimension: int, *, on_server: bool) -> None:
    """Whether an engine can have such vectors; `on_server`: the catalog is one of a PostgreSQL server.

    Raises:
        BadInput: it is unknown or not installed, it needs a server, or they have too many dimensions for it.
    """
    kind = engine_class(name)
    if name in SERVER_ENGINES and not on_server:
        raise BadInput(
            f"the vector engine {name} is one of a PostgreSQL server: give db='postgresql://…', or use one of"
            f" {', '.join(FILE_ENGINES)}"
        )
    kind.check_limits(precision, dimension)
