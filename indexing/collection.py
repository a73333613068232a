"""`Collection`: documents go in, answers come out, and what was acknowledged stays."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine

from indexing.catalog.collections import (
    CollectionState,
    GenerationInfo,
    create_collection,
    create_generation,
    drop_collection,
    find_collection,
    read_generation,
    read_state,
)
from indexing.catalog.database import reading, writing
from indexing.catalog.log import mark_deleted
from indexing.catalog.migrate import ensure_schema
from indexing.catalog.reads import count_chunks, count_documents, keys_of_ids
from indexing.documents import ChunkSettings, Document, Skipped
from indexing.documents.model import storable_text
from indexing.errors import BadInput, UnknownCollection
from indexing.evaluation import EvaluationReport
from indexing.facets import FacetCounts, count_facets
from indexing.listing import list_collections
from indexing.models.encoders import load_encoder, load_trusted_encoder, recorded_name, remember_encoder
from indexing.models.rerankers import Rerankers
from indexing.names import PRECISIONS, SERVING_RERANKER
from indexing.opening import (
    already_exists,
    check_model,
    creation_lock,
    documents_lock,
    found,
    opened,
    refuse_existing,
)
from indexing.quantization import Codec
from indexing.search.allowed import AllowedCache, key_table
from indexing.search.request import make_request
from indexing.search.results import SearchResults
from indexing.search.searcher import Searcher
from indexing.storage.files import remove, remove_if_empty
from indexing.storage.paths import Home, Place, collection_place
from indexing.upkeep.verify import VerifyReport, verify
from indexing.vectors import engine_class
from indexing.views.manager import Views
from indexing.writing.pipeline import AddReport, Pipeline, Progress
from stlib.runtime import EncoderProtocol

__all__ = ["AddReport", "Collection"]

Names = list[str]  # inside the class, `list` is the method

# A bulk run publishes new views when so many seconds have passed, so that other processes see its words too.
PUBLISH_SECONDS = 60.0
# After an `add` of fewer changes the next search follows the log; after more, `add` itself does.
PUBLISH_CHANGES = 512


class Collection:
    """A searchable, durable set of documents. Make one with `create`, or `open` one that exists.

    Threads may share a collection. Several processes may search it at once; one at a time writes, and a
    second writer gets `LockedError` at once.
    """

    def __init__(
        self,
        engine: Engine,
        place: Place,
        state: CollectionState,
        generation: GenerationInfo,
        encoder: EncoderProtocol | None,
    ) -> None:
        self._engine = engine
        self._place = place
        self._id = state.id
        self._uuid = state.uuid
        self.name = state.name
        self._generation = generation
        self._given_encoder = encoder
        self._writing = threading.RLock()  # held for as long as documents are added or deleted
        self._lock = threading.RLock()  # held while the views are opened or published; taken second
        self._views = Views(engine, place, state, self._generation)
        weakref.finalize(self, engine.dispose).atexit = False  # for those who do not close it
        self._filters = AllowedCache(state.id)
        self._rerankers = Rerankers()
        if encoder is not None:
            check_model(encoder, self._generation, self.name)

    @classmethod
    def create(
        cls,
        name: str,
        model: Any = None,
        *,
        precision: str = "int8",
        engine: str = "faiss",
        home: Home = None,
        db: str | None = None,
        chunk: ChunkSettings | None = None,
    ) -> Collection:
        """A new, empty collection.

        `model` is a folder, a model name, an encoder or a SentenceTransformer; None is the bundled static
        model. `precision` is the stored code: int8 by default, a quarter of float32 at the same quality;
        binary and ubinary scan one bit per dimension and rescore with int8. `engine` is "faiss" (exact) or
        "usearch" (HNSW, approximate). `home` is the folder of all collections, `db` a `sqlite:///` URL to use
        instead.

        Raises:
            CollectionExists: there is one of this name.
            BadInput: a name, precision, engine or model that cannot be used.
        """
        place = collection_place(name, home, db)
        if precision not in PRECISIONS:
            raise BadInput(f"precision {precision!r}: use one of {', '.join(PRECISIONS)}")
        engine_class(engine)
        refuse_existing(place)
        encoder = remember_encoder(model, load_encoder(model))
        # Another process may be making or deleting a collection of this name, and its folder with it.
        with creation_lock(place), opened(place.catalog, create=True) as database:
            ensure_schema(database)
            with writing(database) as connection:
                if find_collection(connection, name) is not None:
                    raise already_exists(place)
                create_generation(
                    connection,
                    create_collection(connection, name),
                    model=recorded_name(model, encoder),
                    fingerprint=encoder.fingerprint,
                    dimension=encoder.dimension,
                    precision=precision,
                    engine=engine,
                    chunking=asdict(chunk or ChunkSettings()),
                )
                state, generation = found(connection, name)
            assert state is not None
            assert generation is not None
            return cls(database, place, state, generation, encoder)

    @classmethod
    def open(cls, name: str, *, home: Home = None, db: str | None = None, model: Any = None) -> Collection:
        """The collection `name`. Its model is loaded when a query or a document needs it, or is given as
        `model`.

        Raises:
            UnknownCollection: there is none; the message lists those there are.
            ModelMismatch: `model` is not the one the collection was made with.
        """
        place = collection_place(name, home, db)
        if place.catalog.is_file():
            with opened(place.catalog) as database:
                ensure_schema(database)
                with reading(database) as connection:
                    state, generation = found(connection, name)
                if state is not None and generation is not None:
                    encoder = None
                    if model is not None:
                        given = load_encoder(model, fingerprint=generation.fingerprint)
                        encoder = remember_encoder(model, given)
                    return cls(database, place, state, generation, encoder)
                database.dispose()
        listing = list_collections(home, db)
        known = ", ".join(listing.names) or "none yet"
        damaged = f"; damaged: {', '.join(listing.damaged)}" if listing.damaged else ""
        raise UnknownCollection(f"no collection {name!r}; there are: {known}{damaged}")

    @classmethod
    def list(cls, *, home: Home = None, db: str | None = None) -> Names:
        """The names of the collections in `home`, or in the database `db`; `indexing.listing` also says which
        cannot be read.
        """
        return list_collections(home, db).names

    def close(self) -> None:
        """Closes the database connections. Nothing is lost without it."""
        self._engine.dispose()

    def __enter__(self) -> Collection:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        generation = self._generation
        return f"Collection({self.name!r}, model={generation.model!r}, precision={generation.precision!r})"

    @cached_property
    def encoder(self) -> EncoderProtocol:
        """The model, loaded on first use.

        Raises:
            ModelMismatch: the model that is installed under this name now is another one.
            UntrustedModel: it is not bundled and was never used on this machine: open with `model=` once.
        """
        if self._given_encoder is not None:
            return self._given_encoder
        encoder = load_trusted_encoder(self._generation.model, self._generation.fingerprint)
        check_model(encoder, self._generation, self.name)
        return encoder

    def add(
        self,
        documents: Iterable[Document | Skipped | Mapping[str, Any]],
        *,
        on_error: str = "raise",
        progress: Progress | None = None,
    ) -> AddReport:
        """Adds or replaces documents by id; one whose content is unchanged is not embedded again.

        `documents` may be a generator; only a batch of it is held at a time. When this returns, the documents
        survive a power failure; so does every batch that `progress` was called for. `on_error="skip"` reports
        a document that cannot be used instead of raising.

        Raises:
            BadInput: a document cannot be used; those before it are stored.
            LockedError: another process is adding documents.
            DiskFull: no space; what was committed before is kept.
        """
        if isinstance(documents, (str, bytes, Mapping)):
            raise BadInput("add takes an iterable of documents: pass a list, even for one document")
        if on_error not in ("raise", "skip"):
            raise BadInput(f"on_error {on_error!r}: use 'raise' or 'skip'")
        with self._writing_documents():
            pipeline = Pipeline(
                self._engine,
                self._id,
                self._generation,
                self.encoder,
                progress=progress,
                after_batch=self._publish_now_and_then(),
            )
            try:
                report = pipeline.run(documents, on_error)
            finally:
                self._views.forget()
            return self._finish(report)

    def _publish_now_and_then(self) -> Callable[[], None]:
        published = time.monotonic()

        def after_batch() -> None:
            nonlocal published
            if time.monotonic() - published > PUBLISH_SECONDS:
                self.refresh()
                published = time.monotonic()

        return after_batch

    def _finish(self, report: AddReport) -> AddReport:
        started = time.perf_counter()
        if report.added + report.updated >= PUBLISH_CHANGES:
            self.refresh()
        report.view_seconds += time.perf_counter() - started
        report.seconds += time.perf_counter() - started
        state = self._state()
        report.keyword_lag = max(0, state.last_seq - self._views.words.seq())
        return report

    def refresh(self) -> bool:
        """Brings the vector and keyword views up to the last commit; False if another process is doing so."""
        with self._lock:
            return self._views.publish(self._state(), self._codec)

    def rebuild_views(self) -> bool:
        """Throws both views away and builds them anew; False if another process is writing them."""
        with self._lock:
            self._views.discard()
            return self.refresh()

    def delete(self, ids: Iterable[str]) -> Names:
        """Deletes documents; returns the ids that existed."""
        ids = [ids] if isinstance(ids, str) else map(str, ids)
        ids = [id_ for id_ in ids if storable_text(id_) == id_]  # no document has another one
        with self._writing_documents():
            with writing(self._engine) as connection:
                gone = mark_deleted(connection, self._id, ids)
            self._views.forget()
            return gone

    def search(
        self,
        query: str | None = None,
        k: int = 10,
        *,
        mode: str = "hybrid",
        filter: str | None = None,
        offset: int = 0,
        seq: int | None = None,
        vector: Any = None,
        rerank: Any = SERVING_RERANKER,
        rerank_depth: int = 50,
        rerank_budget_ms: float | None = None,
    ) -> SearchResults:
        """The best `k` documents for `query`, each with its best passage.

        `mode` is "hybrid", "semantic" or "keyword"; `filter` a condition on metadata such as
        `"module = 'itertools' and kind != 'class'"`. There are always min(k, matching documents) results in
        semantic mode; keyword mode returns documents with at least one of the words, hybrid both kinds.

        `offset` leaves out so many better documents: pages of one question put together are the long answer,
        as long as nothing is added or deleted between them. Give the `seq` of the page before, and a note
        says if the collection has changed since. A reranker that stops by time may stop elsewhere next time.

        `vector` is one of your own in place of the query's, float [d] of any length above 0: `query` is only
        looked for by words then, and may be left out.

        `rerank` is a cross-encoder that re-orders the best `rerank_depth` documents: a folder, a model name,
        an `stlib.runtime.Reranker` or an `stlib.CrossEncoder`. Nothing said, it is the one of the serving
        that answers, if it has one; None, False and an empty name are none. After
        `rerank_budget_ms` it stops; what it has read is placed first, the rest keeps its order below it, and
        `SearchResults.reranked` tells how many it has read. A reranker that fails leaves the answer as it
        was (`reranked` is 0), and a note says why.

        Raises:
            FilterError: with the position in `filter`.
            BadInput: an unknown mode, k < 1, a vector of another dimension, or nothing that is asked.
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
        return self._searcher().search(request, rerank)

    def _searcher(self) -> Searcher:
        return Searcher(
            self._engine,
            self._views,
            self._lock,
            lambda: (self._state(), self._codec),
            self._generation.dimension,
            lambda: self.encoder,
            self._filters,
            self._rerankers,
            self._highlighter,
        )

    @cached_property
    def _highlighter(self) -> Any:
        from indexing.search.highlighter import default_highlighter

        return default_highlighter(self._given_encoder or self.__dict__.get("encoder"))

    def evaluate(
        self,
        queries: Mapping[str, str],
        qrels: Mapping[str, Mapping[str, int]],
        *,
        mode: str = "hybrid",
        corpus_ids: Iterable[str] | None = None,
        rerank: Any = SERVING_RERANKER,
        rerank_depth: int = 50,
    ) -> EvaluationReport:
        """IR metrics of this collection: every judged query runs through the real index.

        `queries` id → text, `qrels` query id → document id → grade. `corpus_ids` restricts the search to
        these documents, for judgments that were made over a part of the collection. `rerank` as for `search`.

        Raises:
            RerankingFailed: the reranker cannot be used; without it another ranking would be measured.
        """
        request = make_request("", mode=mode, rerank_depth=rerank_depth)
        started = time.perf_counter()
        with reading(self._engine) as connection:
            table = None if corpus_ids is None else self._table_of_ids(connection, corpus_ids)
            judged = {id_ for grades in qrels.values() for id_, grade in grades.items() if grade > 0}
            missing = len(judged) - len(keys_of_ids(connection, self._id, judged))

        report = self._searcher().evaluate(queries, qrels, request, table, rerank)
        return replace(report, missing_documents=missing, seconds=time.perf_counter() - started)

    def _table_of_ids(self, connection: Connection, ids: Iterable[str]) -> np.ndarray:
        return key_table(np.asarray(sorted(keys_of_ids(connection, self._id, ids).values()), dtype=np.int64))

    def verify(self) -> VerifyReport:
        """Checks the catalog against itself and the views against the catalog; damaged views are rebuilt."""
        return verify(self._engine, self._state(), self._views, self._lock)

    def facets(self, *, max_values: int = 100) -> dict[str, FacetCounts]:
        """Metadata fields with their values and counts, for building filters. A field of very many values is
        counted as far as memory should go, see `indexing.facets`.
        """
        return count_facets(self._engine, self._id, self._state().last_seq, max_values)

    def info(self) -> dict[str, Any]:
        """What the collection is and how large: counts, model, settings, bytes on disk and in memory."""
        memory, mapped = self._views.vectors.file_bytes()
        followed = self._views.words.seq()  # looked up first, as the log only grows
        with self._looking() as (connection, state):
            generation = self._generation = read_generation(connection, state.live_generation)
            documents = count_documents(connection, self._id)
            chunks = count_chunks(connection, generation.id)
        return {
            "name": self.name,
            "documents": documents,
            "chunks": chunks,
            "model": generation.model,
            "dimension": generation.dimension,
            "precision": generation.precision,
            "engine": generation.engine,
            "chunking": generation.chunking,
            "clipped_values": generation.clipped,
            "last_seq": state.last_seq,
            "keyword_lag": state.last_seq - followed,
            "catalog_bytes": _bytes_of(Path(f"{self._place.catalog}{end}") for end in ("", "-wal", "-shm")),
            "view_bytes": _bytes_of(self._place.views.rglob("*")),
            "memory_bytes": memory,
            "mapped_bytes": mapped,
            "path": str(self._place.catalog),
        }

    def drop(self, *, only_if_empty: bool = False) -> bool:
        """Deletes the collection with everything in it. There is no way back.

        With `only_if_empty` one that holds a document stays, and False is returned.

        Raises:
            LockedError: another process is adding documents.
        """
        with self._writing_documents():
            with writing(self._engine) as connection:
                if only_if_empty and count_documents(connection, self._id):
                    return False
                drop_collection(connection, self._id)
            self.close()
            remove(self._place.folder)
            if self._place.shared_catalog:
                remove_if_empty(self._place.folder.parent)
            return True

    def _state(self) -> CollectionState:
        """The collection's row now; its generation is read with it until that is calibrated."""
        with self._looking() as (connection, state):
            if self._generation.codec is None:
                self._generation = read_generation(connection, state.live_generation)
            return state

    @contextmanager
    def _looking(self) -> Iterator[tuple[Connection, CollectionState]]:
        """One transaction, and the collection's row in it. Whatever is compared is read in the same one:
        between two, another process may commit a batch or delete the collection.
        """
        if not self._place.catalog.is_file():  # SQLite would make an empty one
            raise self._deleted()
        with reading(self._engine) as connection:
            state = read_state(connection, self._id)
            if state is None or state.uuid != self._uuid:  # the database uses numbers of deleted rows again
                raise self._deleted()
            yield connection, state

    def _deleted(self) -> UnknownCollection:
        return UnknownCollection(f"collection {self.name!r} was deleted meanwhile")

    @property
    def _codec(self) -> Codec | None:
        return Codec.from_json(self._generation.codec) if self._generation.codec else None

    @contextmanager
    def _writing_documents(self) -> Iterator[None]:
        self._state()
        with self._writing, documents_lock(self._place):
            self._state()  # deleting takes the lock too: from here on it stays
            yield


def _bytes_of(paths: Iterable[Path]) -> int:
    """The sizes of those that are files, added up."""
    total = 0
    for path in paths:
        with suppress(FileNotFoundError):  # a view may be replaced at this moment
            if path.is_file():
                total += path.stat().st_size
    return total
