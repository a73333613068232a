"""Letting a generation follow the document log: one batch after the other, each one transaction.

A batch is read, embedded without holding anything, and committed only for those of its documents that did not
change in between: their newer version comes later in the log. So a deleted text cannot return, and one who is
killed goes on where the generation says it has followed to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from indexing import faults
from indexing.catalog.collections import CollectionState
from indexing.catalog.database import writing
from indexing.catalog.generations import DROPPING, read_generation, set_followed
from indexing.catalog.log import DocumentChunks, append_chunks
from indexing.catalog.reads import (
    LoggedDocument,
    documents_with_chunks,
    read_log,
    seqs_of_documents,
)
from indexing.embed import Embedded
from indexing.generations.existing import check_existing
from indexing.generations.makers import FollowingMaker
from indexing.session import Session

__all__ = ["FollowProgress", "Followed", "follow", "follow_within"]

BATCH_DOCUMENTS = 1024
BATCH_CHARACTERS = 4_000_000


@dataclass
class Followed:
    """How far a generation is: `seq` of `last_seq`; `documents` and `chunks` were made by this call."""

    seq: int = 0
    last_seq: int = 0
    documents: int = 0
    chunks: int = 0


FollowProgress = Callable[[Followed], None]
"""Called after each committed batch; what it raises ends the work, and what was committed stays."""


def follow(
    session: Session,
    generation_id: int,
    maker: FollowingMaker,
    progress: FollowProgress | None = None,
    most: int | None = None,
) -> Followed:
    """Makes what is missing, until the generation has followed everything that is committed, or has made
    passages of `most` documents and more.

    Raises:
        BadInput: there is no such generation any more.
    """
    done = Followed()
    while True:
        with session.looking() as (connection, state):
            batch = _read_batch(session, connection, state, generation_id)
        done.seq, done.last_seq = batch.followed_seq, state.last_seq
        if done.seq == done.last_seq or (most is not None and done.documents >= most):
            return done
        made = _make(batch, maker)
        faults.point("follow.before")
        with writing(session.database) as connection:
            session.row(connection)
            committed = _commit(connection, batch, made)
            faults.point("follow.inside")
        faults.point("follow.after")
        if committed:
            done.seq = batch.seq
            done.documents += len(batch.missing)
            done.chunks += made.chunks
        if progress is not None:
            progress(done)


def follow_within(
    session: Session,
    connection: Connection,
    state: CollectionState,
    generation_id: int,
    maker: FollowingMaker,
    most: int,
) -> bool:
    """Catches up in the caller's transaction, which holds the log still; False if more than `most` changes
    are missing, and then nothing is written.
    """
    while True:
        batch = _read_batch(session, connection, state, generation_id)
        if batch.followed_seq == state.last_seq:
            return True
        if state.last_seq - batch.followed_seq > most:
            return False
        _commit(connection, batch, _make(batch, maker))


@dataclass(frozen=True)
class _Batch:
    """Changes from `followed_seq` to `seq`; `missing` are the documents among them that need passages."""

    generation_id: int
    followed_seq: int
    seq: int
    missing: list[LoggedDocument]


def _read_batch(
    session: Session, connection: Connection, state: CollectionState, generation_id: int
) -> _Batch:
    generation = check_existing(session, generation_id, read_generation(connection, generation_id))
    followed = generation.followed_seq
    rows = read_log(connection, session.id, followed, BATCH_DOCUMENTS, BATCH_CHARACTERS)
    live = [document for document in rows if not document.deleted]
    # A document that has passages has those of its present text: only its metadata changed.
    made = documents_with_chunks(connection, generation.id, [document.key for document in live])
    missing = [document for document in live if document.key not in made]
    # Marks of deleted documents may be purged: then the log ends before its last number.
    whole = len(rows) < BATCH_DOCUMENTS and sum(len(row.text) for row in rows) < BATCH_CHARACTERS
    seq = state.last_seq if whole else rows[-1].seq
    return _Batch(generation.id, followed, seq, missing)


def _make(batch: _Batch, maker: FollowingMaker) -> Embedded:
    return maker.make_logged(batch.missing) if batch.missing else Embedded([], [], 0)


def _commit(connection: Connection, batch: _Batch, made: Embedded) -> bool:
    """False, and nothing was written, if another process let the generation follow meanwhile."""
    generation = read_generation(connection, batch.generation_id)
    if generation is None or generation.state == DROPPING:
        return False
    if generation.followed_seq != batch.followed_seq:
        return False
    now = seqs_of_documents(connection, [document.key for document in batch.missing])
    documents = [
        DocumentChunks(document.key, spans, codes, made.beside_of(at))
        for at, (document, spans, codes) in enumerate(zip(batch.missing, made.spans, made.codes, strict=True))
        if now.get(document.key) == document.seq
    ]
    append_chunks(connection, generation.id, documents)
    set_followed(connection, generation.id, batch.followed_seq, batch.seq, made.clipped)
    return True
