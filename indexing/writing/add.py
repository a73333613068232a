"""One `add`: batches into the live generation, then the ones that follow, then the views."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from indexing.catalog.database import writing
from indexing.catalog.generations import FOLLOWING, generations_of, set_codec
from indexing.documents import ChunkSettings
from indexing.errors import BadInput, IndexingError, MilvusFailed
from indexing.generations.build import following_maker
from indexing.generations.calibrate import calibrate_on_first_vectors, calibrate_on_fixed_texts
from indexing.generations.follow import follow
from indexing.generations.makers import EmbeddingMaker, GivenMaker, Maker
from indexing.models.encoders import normalise
from indexing.models.held import Encoders
from indexing.names import NO_MODEL
from indexing.quantization import Codec
from indexing.session import Live, Session
from indexing.upkeep.compact import compact_if_worth
from indexing.views.manager import Views
from indexing.writing.brought import pair, require_same_model
from indexing.writing.guard import Guard
from indexing.writing.legible import note_on_unread
from indexing.writing.pipeline import Pipeline
from indexing.writing.report import AddReport, Progress

__all__ = ["Adding"]

logger = logging.getLogger(__name__)

# A bulk run publishes new views when so many seconds have passed, so that other processes see its words too.
PUBLISH_SECONDS = 60.0
# After an `add` of fewer changes the next search follows the log; after more, `add` itself does.
PUBLISH_CHANGES = 512
# A generation that was left behind catches up by this much after each batch, so that no `add` waits for all.
MOST_FOLLOWED = 2048


class Adding:
    """Adds documents to one collection."""

    def __init__(self, session: Session, views: Views, encoders: Encoders) -> None:
        self._session = session
        self._views = views
        self._encoders = encoders
        self._published = time.monotonic()
        self._vectors: np.ndarray | None = None
        self._made_by = NO_MODEL
        self._left_behind: set[int] = set()

    def run(
        self, documents: Iterable[Any], vectors: Any, on_error: str, progress: Progress | None
    ) -> AddReport:
        """See `Collection.add`."""
        with self._session.writing_documents():
            if vectors is not None:
                documents = self._take(list(documents), vectors)
            return self.run_held(documents, on_error, progress)

    def _take(self, documents: list[Any], vectors: Any) -> list[Any]:
        """Documents whose vectors came with them, one passage each."""
        generation = self._session.live().generation
        documents, self._vectors = pair(documents, vectors, generation)
        if generation.fingerprint != NO_MODEL:
            require_same_model(documents, self._vectors, self._encoders.of(generation))
        self._made_by = generation.fingerprint
        return documents

    def run_held(self, documents: Iterable[Any], on_error: str, progress: Progress | None) -> AddReport:
        """The same, by who holds the lock of the documents."""
        pipeline = Pipeline(self._session, self.maker_of, progress=progress, after_batch=self.after_batch)
        seq = self._session.live().state.last_seq
        try:
            report = pipeline.run(documents, on_error, self._vectors)
        finally:
            self._views.forget()
        self.note(report, seq)
        return self.finish(report)

    def note(self, report: AddReport, seq: int) -> None:
        """Says of documents that came after the change `seq` what a person should know."""
        if report.denied:
            report.note(Guard(self._session.name, None).note(report.denied))
        if report.added + report.updated and (unread := note_on_unread(self._session, self._encoders, seq)):
            report.note(unread)

    def maker_of(self, live: Live) -> Maker:
        """What turns texts into codes of the generation that is live, which has its ranges from now on.

        Raises:
            BadInput, ModelMismatch, UntrustedModel: its model cannot be had.
        """
        generation = live.generation
        coders = self._encoders.coders(generation, [*(generation.beside or {})])
        if self._vectors is not None and generation.fingerprint != self._made_by:
            raise BadInput(
                f"another model became live in collection {self._session.name!r} meanwhile, and the vectors"
                " are not of it"
            )
        if generation.fingerprint == NO_MODEL or self._vectors is not None:
            return GivenMaker(self._codec(live), coders)
        encoder = self._encoders.of(generation)
        return EmbeddingMaker(encoder, ChunkSettings(**generation.chunking), self._codec(live), coders)

    def _codec(self, live: Live) -> Codec:
        """The generation's codec. It gets one before the first of its vectors, and keeps it."""
        if live.codec is not None:
            return live.codec
        precision: Any = live.generation.precision
        if live.generation.fingerprint != NO_MODEL:
            codec = calibrate_on_fixed_texts(precision, self._encoders.of(live.generation))
        elif self._vectors is None:
            raise BadInput(
                f"collection {self._session.name!r} was made without a model: give a vector for each "
                "document, vectors=array"
            )
        else:
            codec = calibrate_on_first_vectors(precision, normalise(self._vectors))
        with writing(self._session.database) as connection:
            return Codec.from_json(set_codec(connection, live.generation.id, codec.to_json()))

    def after_batch(self, report: AddReport) -> None:
        """Called now and then while documents come in: what depends on them follows."""
        self.let_others_follow(report)
        if time.monotonic() - self._published > PUBLISH_SECONDS:
            self._publish()
            self._published = time.monotonic()

    def let_others_follow(self, report: AddReport, most: int | None = MOST_FOLLOWED) -> None:
        """Generations that were live before follow the log, so that going back is one update; each by `most`
        documents, or to its end.
        """
        live = self._session.live()
        with self._session.looking() as (connection, _):
            others = [
                generation
                for generation in generations_of(connection, self._session.id)
                if generation.state == FOLLOWING and generation.id != live.generation.id and generation.codec
            ]
        for generation in others:
            if generation.id in self._left_behind or generation.followed_seq >= live.state.last_seq:
                continue
            try:
                maker = following_maker(self._session, live, generation, self._encoders)
                follow(self._session, generation.id, maker, most=most)
            except IndexingError as error:
                self._left_behind.add(generation.id)
                report.note(
                    f"generation {generation.id} ({generation.model}) does not follow, so going back to it "
                    f"will take longer, if `stlib drop-generation {self._session.name} {generation.id}` does "
                    f"not give it up: {error}"
                )

    def finish(self, report: AddReport) -> AddReport:
        """Called when all documents are in: the next search need not wait."""
        started = time.perf_counter()
        self.publish_if_worth(report.added + report.updated)
        if report.updated:
            compact_if_worth(self._session, self._views)
        report.view_seconds += time.perf_counter() - started
        report.seconds += time.perf_counter() - started
        report.keyword_lag = max(0, self._session.live().state.last_seq - self._views.words.seq())
        return report

    def publish_if_worth(self, changes: int) -> None:
        """Brings the views up to the log after so many changes; after few of them the next search does."""
        if changes >= PUBLISH_CHANGES:
            self._publish()

    def _publish(self) -> None:
        with self._session.lock:
            try:
                self._views.publish(self._session.live())
            except MilvusFailed as error:  # what was added is in the catalog, and searched from there
                logger.warning("what was added is not in Milvus yet: %s", error)
