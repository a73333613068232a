"""`Collection`: documents go in, answers come out, and what was acknowledged stays."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from indexing import creation
from indexing.again import read_again
from indexing.catalog.stored import StoredDocument
from indexing.collection_erasing import ErasingMethods
from indexing.collection_exchange import ExchangeMethods
from indexing.collection_loading import LoadingMethods
from indexing.collection_measuring import MeasuringMethods
from indexing.collection_servings import ServingMethods
from indexing.collection_sources import SourceMethods
from indexing.describe import CollectionInfo, describe
from indexing.documents import ChunkSettings, Document, Skipped
from indexing.errors import BadInput, CollectionExists, UnknownCollection
from indexing.facets import FacetCounts, count_facets
from indexing.listing import list_collections
from indexing.lookup import count_found, find_documents, iterate_documents, matching_ids
from indexing.models.held import Encoders
from indexing.models.rerankers import Rerankers
from indexing.names import NO_MODEL, SERVING_RERANKER, modes_with, rerankers_with
from indexing.opening import check_model
from indexing.search.allowed import AllowedCache
from indexing.search.artifacts import SettingsCache
from indexing.search.filter_spelling import Given
from indexing.search.request import make_request
from indexing.search.results import SearchResults
from indexing.search.searcher import Searcher
from indexing.session import Session
from indexing.storage.paths import Home
from indexing.upkeep.compact import CompactReport, compact, compact_if_worth
from indexing.upkeep.verify import VerifyReport, verify
from indexing.views.manager import Views
from indexing.writing.add import Adding
from indexing.writing.edit import delete_documents, update_metadata
from indexing.writing.report import AddReport, Progress
from indexing.writing.tables import documents_of
from stlib.runtime import EncoderProtocol, SparseEncoderProtocol
from stlib.util.forks import cached_property

__all__ = ["AddReport", "Collection"]

Names = list[str]  # inside the class, `list` is the method


class Collection(
    ErasingMethods, ExchangeMethods, LoadingMethods, MeasuringMethods, ServingMethods, SourceMethods
):
    """A searchable, durable set of documents. Make one with `create`, or `open` one that exists.

    Threads may share a collection. Several processes may search it at once; one at a time writes, and a
    second writer gets `LockedError` at once. A child process that was forked may use it as its parent does.
    """

    def __init__(self, opened: creation.Opened) -> None:
        self._session = session = Session(opened.database, opened.place, opened.state)
        self.name = session.name
        weakref.finalize(self, opened.database.dispose).atexit = False  # for those who do not close it
        self._views = Views(session)
        self._filters = AllowedCache(session.id, self._views.columns)
        self._settings = SettingsCache(session)
        self._rerankers = Rerankers()
        self._encoders = Encoders(self.name)
        if opened.encoder is not None:
            check_model(opened.encoder, session.live().generation, self.name)
            self._encoders.hold(opened.encoder)
        for role, encoder in opened.beside.items():
            self._encoders.hold_beside(role, encoder)

    def __copy__(self) -> Collection:
        raise TypeError("a Collection cannot be copied: open it again, Collection.open(name)")

    def __deepcopy__(self, memo: Any) -> Collection:
        return self.__copy__()

    def __reduce__(self) -> Any:
        raise TypeError("a Collection cannot be pickled: open it in the other process, Collection.open(name)")

    @classmethod
    def create(
        cls,
        name: str,
        model: Any = None,
        *,
        dimension: int | None = None,
        precision: str = "int8",
        engine: str = "faiss",
        home: Home = None,
        db: str | None = None,
        chunk: ChunkSettings | None = None,
        sparse: Any = None,
        tokens: Any = None,
    ) -> Collection:
        """A new, empty collection.

        `model` is a folder, a model name, an encoder, a SentenceTransformer or any function from a list of
        texts to vectors [n, d]; None is the bundled static model. `dimension` instead of a model makes a
        collection for vectors of your own: `add(…, vectors=…)` and `search(vector=…)`. `precision` is the
        stored code: int8 by default, a quarter of float32 at the same quality; binary and ubinary scan one
        bit per dimension and rescore with int8. `engine` is "faiss" (exact), "usearch" (HNSW,
        approximate), in a PostgreSQL database "pgvector" (HNSW at the server), or "milvus" (in the Milvus
        that STLIB_MILVUS names, for vectors beyond one machine). `home` is the folder of all collections,
        `db` a `sqlite:///` or `postgresql://` URL of the database to use instead.

        `sparse` gives hybrid search a third leg: a model of weighted terms, such as an `stlib.SparseEncoder`
        or its folder. `tokens` is a model of late interaction, an `stlib.MultiVectorEncoder` or its folder,
        whose vectors are stored for `search(rerank="tokens")`.

        Raises:
            CollectionExists: there is one of this name.
            BadInput: a name, precision, engine, dimension or model that cannot be used.
        """
        return cls._hold(
            creation.create(
                name,
                model,
                dimension=dimension,
                precision=precision,
                engine=engine,
                home=home,
                db=db,
                chunk=chunk,
                beside=_given(sparse, tokens),
            )
        )

    @classmethod
    def open(
        cls,
        name: str,
        *,
        home: Home = None,
        db: str | None = None,
        model: Any = None,
        sparse: Any = None,
        tokens: Any = None,
    ) -> Collection:
        """The collection `name`. Its models are loaded when a query or a document needs them, or are given as
        `model`, `sparse` and `tokens`.

        Raises:
            UnknownCollection: there is none; the message lists those there are.
            ModelMismatch: a model is not the one the collection was made with.
        """
        return cls._hold(creation.find(name, home, db, model, _given(sparse, tokens)))

    @classmethod
    def _hold(cls, opened: creation.Opened) -> Collection:
        """The collection of what was opened, which is closed again after an error."""
        try:
            return cls(opened)
        except BaseException:
            opened.database.dispose()
            raise

    @classmethod
    def open_or_create(
        cls, name: str, model: Any = None, *, home: Home = None, db: str | None = None, **settings: Any
    ) -> Collection:
        """The collection `name`, made with `settings` as for `create` if there is none.

        Settings of one that exists stay as they are; `reindex` changes them.

        Raises:
            ModelMismatch: `model` is not the one the collection was made with.
        """
        try:
            return cls.open(name, home=home, db=db, model=model)
        except UnknownCollection:
            try:
                return cls.create(name, model, home=home, db=db, **settings)
            except CollectionExists:  # made by another process at this moment
                return cls.open(name, home=home, db=db, model=model)

    @classmethod
    def list(cls, *, home: Home = None, db: str | None = None) -> Names:
        """The names of the collections in `home`, or in the database `db`; `indexing.listing` also says which
        cannot be read.
        """
        return list_collections(home, db).names

    def close(self) -> None:
        """Closes the database connections, and lets go of the indexes. Nothing is lost without it."""
        self._views.release()
        self._session.database.dispose()

    def __enter__(self) -> Collection:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def uuid(self) -> str:
        """Names this collection and no other, one that is made under the same name later among them."""
        return self._session.uuid

    def __repr__(self) -> str:
        return f"Collection({self.name!r}, {str(self._session.place.catalog)!r})"

    @property
    def modes(self) -> tuple[str, ...]:
        """What `search` and `evaluate` take as `mode` with what is live."""
        return modes_with(self._session.live().generation.beside or {})

    @property
    def rerankers(self) -> tuple[str, ...]:
        """What `search` and `evaluate` take as `rerank` by name alone with what is live."""
        return rerankers_with(self._session.live().generation.beside or {})

    @property
    def own_vectors(self) -> int | None:
        """How many numbers the vector has that each document brings; None where a model makes vectors."""
        generation = self._session.live().generation
        return generation.dimension if generation.fingerprint == NO_MODEL else None

    @property
    def encoder(self) -> EncoderProtocol:
        """The model of what is live, loaded on first use.

        Raises:
            BadInput: the collection has none, or it cannot be loaded.
            ModelMismatch: the model that is installed under this name now is another one.
            UntrustedModel: it is not bundled and was never used on this machine: open with `model=` once.
        """
        return self._encoders.of(self._session.live().generation)

    @property
    def sparse_encoder(self) -> SparseEncoderProtocol | None:
        """The model of weighted terms of what is live, loaded on first use; None where there is none.

        Raises:
            BadInput, ModelMismatch, UntrustedModel: as `encoder`.
        """
        generation = self._session.live().generation
        has_terms = "sparse" in (generation.beside or {})
        return self._encoders.beside(generation, "sparse") if has_terms else None

    # --- documents -----------------------------------------------------------------------------------------

    def add(
        self,
        documents: Iterable[Document | Skipped | Mapping[str, Any]] | Any,
        *,
        vectors: Any = None,
        on_error: str = "raise",
        progress: Progress | None = None,
        text_field: str | Sequence[str] | None = None,
        title_field: str | None = None,
        id_field: str | None = None,
    ) -> AddReport:
        """Adds or replaces documents by id; one whose text is unchanged is not embedded again.

        `documents` may be a generator, only a batch of it being held at a time, or a table of pandas,
        datasets, pyarrow or polars. `text_field` (one or several), `title_field` and `id_field` name its
        columns, or what dicts have in their place; `indexing.documents.fields` knows some without.

        When this returns, the documents survive a power failure; so does every batch that `progress` was
        called for. `vectors` [n, d] are one per document, for a collection made with `dimension=`, or such as
        the collection's model gave elsewhere: some documents are embedded to compare them, the others are
        not. Each document is one passage then.
        `on_error="skip"` reports a document that cannot be used instead of raising.

        Raises:
            BadInput: a document cannot be used; those before it are stored. Or the vectors are of another
                model; nothing is stored.
            LockedError: another process is adding documents.
            DiskFull: no space; what was committed before is kept.
        """
        if isinstance(documents, (str, bytes, Mapping)):
            raise BadInput("add takes an iterable of documents: pass a list, even for one document")
        if on_error not in ("raise", "skip"):
            raise BadInput(f"on_error {on_error!r}: use 'raise' or 'skip'")
        notes: dict[str, None] = {}
        documents = documents_of(documents, text_field, title_field, id_field, notes.setdefault)
        report = Adding(self._session, self._views, self._encoders).run(
            documents, vectors, on_error, progress
        )
        for note in notes:
            report.note(note)
        return report

    def delete(self, ids: Iterable[str] | None = None, *, filter: Given | None = None) -> Names:
        """Deletes documents by id, or all that match `filter`; returns the ids that existed.

        Raises:
            FilterError: with the position in `filter`.
            BadInput: neither ids nor a filter, or both; an id that is no string. Nothing was deleted.
        """
        if (ids is None) == (filter is None):
            raise BadInput("delete takes ids or filter=, one of them; drop() deletes the whole collection")
        with self._session.writing_documents():
            doomed = matching_ids(self._session, filter) if ids is None else ids
            gone = delete_documents(self._session, doomed)
            self._views.forget()
            self._tidy(len(gone))
        return gone

    def update_metadata(self, metadata: Mapping[str, Mapping[str, Any]]) -> Names:
        """Replaces the metadata of documents, `{id: {field: value}}`. Nothing is embedded. Returns the ids
        that exist, those whose metadata was the same already among them.

        Raises:
            BadInput: ids or values that cannot be; nothing was changed.
        """
        with self._session.writing_documents():
            found = update_metadata(self._session, metadata)
            self._views.forget()
            return found

    @read_again
    def get(self, ids: Iterable[str], *, passages: bool = False) -> dict[str, StoredDocument]:
        """Documents by id; those that do not exist are not among them. With `passages` each has those that it
        is searched by, with their vectors.

        Raises:
            BadInput: an id that is no string.
        """
        return find_documents(self._session, ids, passages=passages)

    def __contains__(self, id_: object) -> bool:
        return isinstance(id_, str) and id_ in self.get([id_])

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        return True  # an empty collection is still one

    @read_again
    def count(self, filter: Given | None = None) -> int:
        """How many documents there are, or match `filter`."""
        return count_found(self._session, self._views, filter)

    def documents(
        self,
        filter: Given | None = None,
        *,
        after: str | None = None,
        batch: int = 500,
        passages: bool = False,
    ) -> Iterator[StoredDocument]:
        """Every document that matches `filter`, in the order of ids; `batch` are read at a time, so that
        others write meanwhile. One that is added behind the present place is met, one before it is not.
        They begin behind the id `after`, whether there is such a document or not. With `passages` each has
        those that it is searched by, with their vectors.

        Raises:
            LockedError: another generation became live while passages were read.
        """
        return iterate_documents(self._session, filter, batch, after=after, passages=passages)

    def __iter__(self) -> Iterator[StoredDocument]:
        return self.documents()

    def _tidy(self, changes: int) -> None:
        Adding(self._session, self._views, self._encoders).publish_if_worth(changes)
        compact_if_worth(self._session, self._views)

    # --- search --------------------------------------------------------------------------------------------

    @read_again
    def search(
        self,
        query: str | None = None,
        k: int = 10,
        *,
        mode: str = "hybrid",
        filter: Given | None = None,
        offset: int = 0,
        seq: int | None = None,
        vector: Any = None,
        rerank: Any = SERVING_RERANKER,
        rerank_depth: int = 50,
        rerank_budget_ms: float | None = None,
        serving: int | None = None,
        seed: str = "",
    ) -> SearchResults:
        """The best `k` documents for `query`, each with its best passage.

        `mode` is "hybrid", "semantic" or "keyword"; `filter` a condition on metadata such as
        `"module = 'itertools' and kind != 'class'"`. There are always min(k, matching documents) results in
        semantic mode; keyword mode returns documents with at least one of the words, hybrid both kinds.

        `offset` leaves out so many better documents: pages of one question put together are the long answer,
        as long as nothing is added or deleted between them. Give the `seq` of the page before, and documents
        that were added or changed since are left out, so that none comes twice; a note says so. A reranker
        that stops by time may stop elsewhere next time.

        `vector` is one of your own in place of the query's, float [d] of any length above 0: `query` is only
        looked for by words then, and may be left out.

        `rerank` is a cross-encoder that re-orders the best `rerank_depth` documents: a folder, a model name,
        an `stlib.runtime.Reranker` or an `stlib.CrossEncoder`; or "tokens", by which the vectors of tokens
        are compared that a collection made with `tokens=` stores, in milliseconds. Nothing said, it is the
        one of the serving that answers, if it has one; None, False and an empty name are none. After
        `rerank_budget_ms` it stops; what it has read is placed first, the rest keeps its order below it, and
        `SearchResults.reranked` tells how many it has read. A reranker that fails leaves the answer as it
        was (`reranked` is 0), and a note says why.

        `serving` answers as if it were live. While one is tried, searches that name none are answered by
        both, interleaved by a draw that the question and `seed` decide: give what stands for who asks.

        Raises:
            FilterError: with the position in `filter`.
            BadInput: an unknown mode or serving, k < 1, a vector of another dimension, or nothing that is
                asked.
        """
        request = make_request(
            query,
            k,
            offset=offset,
            mode=mode,
            filter=filter,
            vector=vector,
            seq=seq,
            rerank_depth=rerank_depth,
            rerank_budget_ms=rerank_budget_ms,
        )
        return self._searcher().search(request, rerank, serving, seed)

    def _searcher(self) -> Searcher:
        return Searcher(
            self._session,
            self._views,
            self._encoders.of,
            self._encoders.beside,
            self._filters,
            self._rerankers,
            self._highlighter,
            self._settings,
        )

    @cached_property
    def _highlighter(self) -> Any:
        from indexing.search.highlighter import default_highlighter

        return default_highlighter(self._encoders.held(self._session.live().generation))

    @read_again
    def facets(self, *, max_values: int = 100) -> dict[str, FacetCounts]:
        """Metadata fields with their values and counts, for building filters. A field of very many values is
        counted as far as memory should go, see `indexing.facets`.
        """
        with self._session.lock:
            self._views.follow_columns(self._session.live())
        return count_facets(self._session, self._views.columns, max_values)

    @read_again
    def info(self) -> CollectionInfo:
        """What the collection is and how large: counts, model, settings, bytes on disk and in memory."""
        return describe(self._session, self._views)

    # --- upkeep --------------------------------------------------------------------------------------------

    def refresh(self) -> bool:
        """Brings the vector and keyword views up to the last commit; False if another process is doing so."""
        with self._session.lock:
            return self._views.publish(self._session.live())

    def rebuild_views(self) -> bool:
        """Throws the views away and builds them anew; False if another process is writing them."""
        with self._session.lock:
            self._views.discard()
            return self.refresh()

    def verify(self) -> VerifyReport:
        """Checks the catalog against itself and the views against the catalog; damaged views are rebuilt."""
        return verify(self._session, self._views)

    def compact(self) -> CompactReport:
        """Forgets what everything has followed, and gives free space back to the disk.

        Raises:
            LockedError: another process is writing.
            DiskFull: a copy of what is left has no room.
        """
        return compact(self._session, self._views)

    def drop(self, *, only_if_empty: bool = False) -> bool:
        """Deletes the collection with everything in it. There is no way back.

        With `only_if_empty` one that holds a document stays, and False is returned.

        Raises:
            LockedError: another process is adding documents.
        """
        return creation.drop(self._session, only_if_empty=only_if_empty)


def _given(sparse: Any, tokens: Any) -> dict[str, Any]:
    """Models that a person gave, by role."""
    return {role: one for role, one in (("sparse", sparse), ("tokens", tokens)) if one is not None}
