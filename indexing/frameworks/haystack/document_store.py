"""The document store. See `indexing.frameworks.haystack`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from haystack import Document, default_from_dict, default_to_dict
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack.utils.filters import document_matches_filter

from indexing.catalog.stored import StoredDocument
from indexing.collection import Collection
from indexing.errors import BadInput
from indexing.frameworks.haystack.documents import KEPT, SEARCHED, retrieved, stored, written
from indexing.frameworks.haystack.filters import check_filters, narrowed
from indexing.frameworks.haystack.threads import in_thread
from indexing.frameworks.store import LazyCollection, check_saved, delete_all, search_matching
from indexing.search.results import Result

__all__ = ["Filters", "StlibDocumentStore"]

Filters = dict[str, Any]


class StlibDocumentStore:
    """A collection as a document store, made when the first documents come.

    Args:
        collection_name: of the collection.
        embedding_dim: of the embeddings that documents bring; None leaves vectors to the collection's model.
            Embeddings are kept as they came in any case.
        home, db: where collections are, as for `Collection.open`.
        model: folder or name of the model of a new collection, where `embedding_dim` is None.
        precision, engine: of a new collection, as for `Collection.create`.
    """

    def __init__(
        self,
        collection_name: str = "haystack",
        *,
        embedding_dim: int | None = None,
        home: str | None = None,
        db: str | None = None,
        model: str | None = None,
        precision: str | None = None,
        engine: str = "faiss",
    ) -> None:
        self._db = db
        self._given = {
            "collection_name": collection_name,
            "embedding_dim": embedding_dim,
            "home": None if home is None else str(home),
            "db": db,
            "model": model,
            "precision": precision,
            "engine": engine,
        }
        self._dimension = embedding_dim
        settings = {"engine": engine, **({} if precision is None else {"precision": precision})}
        self._lazy = LazyCollection(
            collection_name,
            brings_vectors=embedding_dim is not None,
            home=home,
            db=db,
            model=model,
            **settings,
        )

    @property
    def collection(self) -> Collection | None:
        """The collection itself; None while there is none."""
        return self._lazy.found()

    def to_dict(self) -> dict[str, Any]:
        """For pipelines that are saved, which others may read.

        Raises:
            BadInput: the address of the database has a password in it.
        """
        check_saved(self._db)
        return default_to_dict(self, **self._given)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> StlibDocumentStore:
        store: StlibDocumentStore = default_from_dict(cls, data)
        return store

    # --- documents -----------------------------------------------------------------------------------------

    def count_documents(self) -> int:
        collection = self._lazy.found()
        return 0 if collection is None else collection.count()

    def filter_documents(self, filters: Filters | None = None) -> list[Document]:
        """In the order in which they were written, with their embeddings."""
        return [written(one) for one in self._matching(filters)]

    def write_documents(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """Returns how many were written. Without a policy a known id is an error.

        Raises:
            ValueError: something that is no list of documents.
            DuplicateDocumentError: an id that is there already; nothing was written.
            BadInput: a document that cannot be stored, such as one with an embedding of another dimension.
        """
        if not isinstance(documents, list) or not all(isinstance(one, Document) for one in documents):
            raise ValueError("write_documents takes a list of haystack.Document")
        collection = self._lazy.made(self._dimension)
        if policy != DuplicatePolicy.OVERWRITE:
            known = collection.get([document.id for document in documents])
            if known and policy != DuplicatePolicy.SKIP:
                raise DuplicateDocumentError(f"document {next(iter(known))!r} is there already")
            documents = [document for document in documents if document.id not in known]
        if not documents:
            return 0
        own = self._dimension is None
        rows = [stored(one, searched=None if own else one.embedding is not None) for one in documents]
        vectors = None if self._dimension is None else self._vectors(documents)
        collection.add(rows, vectors=vectors)
        return len(rows)

    def delete_documents(self, document_ids: list[str]) -> None:
        """Unknown ids are passed over."""
        if (collection := self._lazy.found()) is not None:
            collection.delete(document_ids)

    def delete_all_documents(self, recreate_collection: bool = False) -> None:
        """With `recreate_collection` the collection goes too, and is made anew when documents come."""
        if recreate_collection:
            self._lazy.drop()
        elif (collection := self._lazy.found()) is not None:
            delete_all(collection)

    def delete_by_filter(self, filters: Filters) -> int:
        """Returns how many were deleted."""
        ids = [one.id for one in self._matching(filters)]
        if ids and (collection := self._lazy.found()) is not None:
            return len(collection.delete(ids))
        return 0

    def update_by_filter(self, filters: Filters, meta: dict[str, Any]) -> int:
        """Sets fields of the metadata; returns of how many documents."""
        changed = {one.id: {**one.metadata, **meta} for one in self._matching(filters)}
        if changed and (collection := self._lazy.found()) is not None:
            return len(collection.update_metadata(changed))
        return 0

    # --- what there is in the metadata ----------------------------------------------------------------------

    def count_documents_by_filter(self, filters: Filters) -> int:
        return len(self._matching(filters))

    def count_unique_metadata_by_filter(self, filters: Filters, metadata_fields: list[str]) -> dict[str, int]:
        found = self._matching(filters)
        return {field: len(_unique(_values(found, field))) for field in metadata_fields}

    def get_metadata_fields_info(self) -> dict[str, dict[str, str]]:
        """The type of each field, by one of its values."""
        types: dict[str, dict[str, str]] = {"content": {"type": "text"}}
        for document in self._matching(None):
            for field, value in document.metadata.items():
                if field != KEPT:
                    types.setdefault(field, {"type": _type_of(value)})
        return types if len(types) > 1 else {}

    def get_metadata_field_min_max(self, metadata_field: str) -> dict[str, Any]:
        values = [value for value in _values(self._matching(None), metadata_field) if value is not None]
        return {"min": min(values, default=None), "max": max(values, default=None)}

    def get_metadata_field_unique_values(
        self,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: Filters | None = None,
    ) -> tuple[list[Any], int]:
        """A page of the values that have `search_term` in them, in the order of their texts, and how many."""
        values = _unique(_values(self._matching(filters), metadata_field))
        if search_term is not None:
            values = [value for value in values if search_term.casefold() in str(value).casefold()]
        ordered = sorted(values, key=lambda value: (str(value), type(value).__name__))
        return ordered[from_ : from_ + size], len(ordered)

    # --- retrieval, which the components below call ---------------------------------------------------------

    def embedding_retrieval(
        self,
        query_embedding: list[float],
        *,
        query: str | None = None,
        filters: Filters | None = None,
        top_k: int = 10,
        mode: str = "semantic",
        return_embedding: bool = False,
    ) -> list[Document]:
        """By a vector; in mode "hybrid" by the words of `query` too."""
        only = None if self._dimension is None else {SEARCHED: True}
        return self._retrieve(query, query_embedding, filters, top_k, mode, only, return_embedding)

    def text_retrieval(
        self,
        query: str,
        *,
        filters: Filters | None = None,
        top_k: int = 10,
        mode: str | None = None,
        return_embedding: bool = False,
    ) -> list[Document]:
        """By a question: hybrid, or by words alone where documents bring their embeddings."""
        if self._dimension is not None and mode not in (None, "keyword"):
            raise BadInput(f"mode {mode!r} needs the vector of the question: use StlibEmbeddingRetriever")
        chosen = mode or ("hybrid" if self._dimension is None else "keyword")
        return self._retrieve(query, None, filters, top_k, chosen, None, return_embedding)

    def _retrieve(
        self,
        query: str | None,
        vector: list[float] | None,
        filters: Filters | None,
        top_k: int,
        mode: str,
        only: dict[str, Any] | None,
        return_embedding: bool,
    ) -> list[Document]:
        check_filters(filters)
        collection = self._lazy.found()
        if collection is None:
            return []
        conditions = [one for one in (only, narrowed(filters)) if one]
        narrow = {"$and": conditions} if conditions else None
        found = search_matching(
            lambda k: collection.search(query, k, mode=mode, filter=narrow, vector=vector),
            top_k,
            _matcher(filters),
        )
        return [retrieved(one, mode, return_embedding) for one in found]

    def _matching(self, filters: Filters | None) -> list[StoredDocument]:
        check_filters(filters)
        collection = self._lazy.found()
        if collection is None:
            return []
        matches = _matcher(filters)
        found = [one for one in collection.documents(narrowed(filters)) if matches(one)]
        return sorted(found, key=lambda one: one.seq)

    def _vectors(self, documents: Iterable[Document]) -> np.ndarray:
        """Those without an embedding get one that no search by vector looks at."""
        dimension = self._dimension or 1
        for one in documents:
            if one.embedding is not None and len(one.embedding) != dimension:
                raise BadInput(
                    f"document {one.id!r} has an embedding of {len(one.embedding)} numbers: this store is"
                    f" made for {dimension}"
                )
        nowhere = [1.0] + [0.0] * (dimension - 1)
        return np.asarray([one.embedding or nowhere for one in documents], np.float32)

    # --- the same for loops ---------------------------------------------------------------------------------

    count_documents_async = in_thread(count_documents)
    filter_documents_async = in_thread(filter_documents)
    write_documents_async = in_thread(write_documents)
    delete_documents_async = in_thread(delete_documents)
    delete_all_documents_async = in_thread(delete_all_documents)
    delete_by_filter_async = in_thread(delete_by_filter)
    update_by_filter_async = in_thread(update_by_filter)
    count_documents_by_filter_async = in_thread(count_documents_by_filter)
    count_unique_metadata_by_filter_async = in_thread(count_unique_metadata_by_filter)
    get_metadata_fields_info_async = in_thread(get_metadata_fields_info)
    get_metadata_field_min_max_async = in_thread(get_metadata_field_min_max)
    get_metadata_field_unique_values_async = in_thread(get_metadata_field_unique_values)


def _matcher(filters: Filters | None) -> Callable[[StoredDocument | Result], bool]:
    if not filters:
        return lambda one: True
    return lambda one: document_matches_filter(filters, written(one))


def _values(documents: Iterable[StoredDocument], field: str) -> list[Any]:
    name = field.removeprefix("meta.")
    return [one.metadata[name] for one in documents if name in one.metadata]


def _unique(values: Iterable[Any]) -> list[Any]:
    """One of each type and value: 1, 1.0, True and "1" are four."""
    return list({(type(value).__name__, str(value)): value for value in values}.values())


def _type_of(value: Any) -> str:
    names = {bool: "boolean", int: "long", float: "float", str: "keyword"}
    return names.get(type(value), "object")
