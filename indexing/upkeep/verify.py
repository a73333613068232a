"""Checking a collection: the catalog against itself, the views against the catalog."""

from __future__ import annotations

from dataclasses import dataclass, field

from indexing.catalog.artifacts import artifact_problems
from indexing.catalog.dialect import dialect_of
from indexing.catalog.generations import generations_of
from indexing.catalog.reads import count_chunks, count_documents
from indexing.errors import LockedError, MilvusFailed, StorageError
from indexing.session import Live, Session
from indexing.upkeep.beside import altered_terms, altered_tokens
from indexing.upkeep.contents import altered_codes, content_problems
from indexing.upkeep.rows import document_problems, generation_problems, key_problems, load_problems
from indexing.vectors.snapshot import VectorSnapshot
from indexing.views.manager import Views
from indexing.views.milvus_leftovers import drop_leftovers
from indexing.views.vectors import VectorView

__all__ = ["VerifyReport", "verify"]


@dataclass
class VerifyReport:
    """`errors`: the catalog itself is wrong. `repaired`: views that were damaged and have been rebuilt."""

    documents: int = 0
    chunks: int = 0
    errors: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """True when nothing was wrong at all."""
        return not self.errors and not self.repaired

    def to_dict(self) -> dict[str, object]:
        return {
            "clean": self.clean,
            "documents": self.documents,
            "chunks": self.chunks,
            "errors": self.errors,
            "repaired": self.repaired,
        }


def verify(session: Session, views: Views) -> VerifyReport:
    """Reads everything once. Damaged views are set aside and rebuilt; the catalog is only reported on.

    Raises:
        UnknownCollection: the collection was deleted.
    """
    report = VerifyReport()
    with session.looking() as (connection, _):
        report.errors += dialect_of(connection).find_damage(connection)
    if not report.errors:
        with session.looking() as (connection, _):
            report.errors += dialect_of(connection).find_wrong_types(connection)
    if report.errors:
        return report
    drop_leftovers(session.place, session)
    try:
        _verify_rows(session, views, report)
    except StorageError as error:
        report.errors.append(f"catalog: {error}")
    return report


def _verify_rows(session: Session, views: Views, report: VerifyReport) -> None:
    with session.looking() as (connection, state):
        # Of this very moment: the first batch, or another, may have been committed since the caller looked.
        live = session.read_live(connection, state)
        generations = generations_of(connection, session.id)
        report.errors += key_problems(connection)
        if live.generation.followed_seq != state.last_seq:
            report.errors.append(
                f"catalog: what is served has followed {live.generation.followed_seq} of {state.last_seq} "
                f"changes; `stlib promote {session.name} {live.serving.id}` makes up for the rest"
            )
        report.errors += document_problems(connection, state)
        report.errors += artifact_problems(connection, session.id)
        report.errors += load_problems(connection, session.id)
        for generation in generations:
            report.errors += generation_problems(connection, state, generation)
        report.documents = count_documents(connection, session.id)
        report.chunks = count_chunks(connection, live.generation.id)
    if not report.errors:
        report.errors += content_problems(session, live.state.last_seq, generations)
    if not report.errors:
        with session.lock:
            snapshot = _check_views(views, live, report)
        if live.codec is not None and snapshot is not None:
            report.errors += altered_codes(session.database, live.codec, snapshot)
        terms = views.terms(live)
        lists = None if terms is None else terms.newest()
        if lists is not None:
            report.errors += altered_terms(session.database, live.generation, lists)
        for generation in generations:
            report.errors += altered_tokens(session.database, generation)


def _check_views(views: Views, live: Live, report: VerifyReport) -> VectorSnapshot | None:
    """Repairs what is damaged, as a search would; returns the newest vector snapshot."""
    for view in views.of(live):
        try:
            report.repaired += view.check()
        except (LockedError, MilvusFailed) as error:
            report.errors.append(f"{view.what} was not looked at: {error}")
    if report.repaired:
        views.forget()
        views.catch_up(live)
        views.readers(live)
    vectors = views.vectors(live)
    return vectors.newest() if isinstance(vectors, VectorView) else None  # a table was compared by its view
