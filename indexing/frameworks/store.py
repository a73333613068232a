"""What the stores share: a collection made when the first documents come, answers that are checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from indexing.catalog.stored import StoredDocument
from indexing.collection import Collection
from indexing.errors import BadInput, UnknownCollection
from indexing.search.results import Result, SearchResults
from indexing.storage.paths import has_password
from stlib.util.forks import ThreadLock

__all__ = ["LazyCollection", "check_saved", "delete_all", "nearest_vectors", "score_of", "search_matching"]

_DELETED_AT_ONCE = 1_000


def check_saved(db: str | None) -> None:
    """Before a store is written down, as with a pipeline, where others may read it.

    Raises:
        BadInput: the address of the database has a password in it.
    """
    if db is not None and has_password(db):
        raise BadInput(
            "db has a password in it, which would be saved with the store: leave it out of the address, and"
            " give it by the environment (PGPASSWORD) or by PostgreSQL's password file (~/.pgpass)"
        )


class LazyCollection:
    """A collection by name, opened or made when it is needed; threads may share it.

    Args:
        brings_vectors: whether documents come with vectors; else the collection's model makes them.
        model: that a new collection is made with; None for the bundled one.
        settings: of `Collection.create`. Brought vectors are stored as float32 by default, as the ranges of
            int8 would be those of the few that a framework adds first; those of a model as int8.
    """

    def __init__(
        self,
        name: str,
        *,
        brings_vectors: bool,
        home: Any = None,
        db: str | None = None,
        model: Any = None,
        **settings: Any,
    ) -> None:
        if brings_vectors:
            if model is not None:
                raise BadInput("give vectors or a model, not both: the collection has vectors of one kind")
            settings.setdefault("precision", "float32")
        self.name = name
        self.brings_vectors = brings_vectors
        self._where = {"home": home, "db": db}
        self._model = model
        self._settings = settings
        self._lock = ThreadLock()
        self._collection: Collection | None = None

    def found(self) -> Collection | None:
        """The collection, if there is one.

        Raises:
            BadInput: it makes vectors where these are brought, or the other way round.
        """
        with self._lock:
            if self._collection is None:
                try:
                    self._collection = self._check(
                        Collection.open(self.name, model=self._model, **self._where)
                    )
                except UnknownCollection:
                    return None
            return self._collection

    def made(self, dimension: int | None = None) -> Collection:
        """The collection, made if there is none; `dimension` of the vectors that are brought.

        Raises:
            BadInput: as `found`.
        """
        if (found := self.found()) is not None:
            return found
        made = Collection.open_or_create(
            self.name, self._model, dimension=dimension, **self._where, **self._settings
        )
        with self._lock:
            self._collection = self._check(made)
            return self._collection

    def _check(self, collection: Collection) -> Collection:
        own = collection.own_vectors is not None
        if own == self.brings_vectors:
            return collection
        collection.close()
        raise BadInput(
            f"collection {self.name!r} "
            + (
                "has vectors that are brought: give what makes them"
                if own
                else "makes its vectors itself: leave away what would bring them"
            )
            + ", or another name"
        )

    def drop(self) -> None:
        """Deletes the collection with everything in it, if there is one."""
        if (collection := self.found()) is not None:
            collection.drop()
            self.close()

    def close(self) -> None:
        with self._lock:
            if self._collection is not None:
                self._collection.close()
            self._collection = None


def search_matching(
    search: Callable[[int], SearchResults], k: int, matches: Callable[[Result], bool]
) -> list[Result]:
    """The best `k` results that match, in their order: more are asked for until there are enough, or no more.
    Filters of collections compare texts without regard to case; frameworks do not.
    """
    asked = k
    while True:
        found = search(asked)
        kept = [result for result in found if matches(result)]
        if len(kept) >= k or len(found) < asked:
            return kept[:k]
        asked *= 4


def score_of(result: Result, mode: str) -> float:
    """The cosine where only meaning counts; elsewhere what the legs add up to."""
    cosine = result.parts.get("semantic") if mode == "semantic" else None
    return float(result.score if cosine is None else cosine)


def nearest_vectors(collection: Collection, ids: list[str], query: np.ndarray) -> dict[str, np.ndarray]:
    """Of each document the vector of the passage that is nearest to `query`, float32 [d]."""
    found = collection.get(ids, passages=True)
    return {id_: _nearest(document, query) for id_, document in found.items() if document.passages}


def _nearest(document: StoredDocument, query: np.ndarray) -> np.ndarray:
    vectors = np.stack([passage.vector for passage in document.passages or ()])
    nearest: np.ndarray = vectors[int(np.argmax(vectors @ query))]
    return nearest


def delete_all(collection: Collection) -> None:
    """Deletes every document; the collection stays."""
    ids = [document.id for document in collection]
    for start in range(0, len(ids), _DELETED_AT_ONCE):
        collection.delete(ids[start : start + _DELETED_AT_ONCE])
