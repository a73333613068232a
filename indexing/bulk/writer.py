"""Storing pieces of a bulk load, each in one transaction with the note that it is stored.

Whether and what is written is decided in that transaction: another process may have committed a piece since,
or taken the load over. So it does not matter how many write, who of them is killed when, or whether a piece
comes twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from indexing import faults
from indexing.bulk.loads import Load, done_of, load_taken, plan_of
from indexing.bulk.pieces import (
    Done,
    EmbeddedPiece,
    FileDone,
    Piece,
    ShardPlan,
    files_from_json,
    files_to_json,
)
from indexing.bulk.report import AGAIN, ANEW, STALE, STORED, THERE, PieceReport, ToEmbed, note_piece
from indexing.catalog.database import reading, writing
from indexing.catalog.loads import (
    COUNTS,
    DONE,
    ShardInfo,
    add_piece,
    find_shard,
    has_piece,
    has_token,
    pass_pieces,
    pieces_beyond,
    reset_shard,
    set_bad,
    update_shard,
)
from indexing.catalog.log import DocumentChange, set_whereabouts
from indexing.catalog.sources import documents_in, drop_files, record_files
from indexing.documents.model import storable_text
from indexing.embed import Embedded
from indexing.errors import BadInput
from indexing.session import Session
from indexing.writing.batch import (
    Batch,
    changes_of,
    count_changes,
    keep_out,
    look_up,
    prepare,
    whereabouts_of,
    write_changes,
)
from indexing.writing.report import AddReport

__all__ = ["Writer"]


@dataclass(frozen=True)
class _Looked:
    """What there was to write of a piece when the collection's last change was `last_seq`: as every change of
    documents takes the next number, that is so for as long as this is the last one.
    """

    piece: Piece
    last_seq: int
    batch: Batch
    changed: dict[str, DocumentChange]
    report: AddReport


class Writer:
    """Stores pieces of one load. Several may do so at once, in one process or many."""

    def __init__(self, session: Session, load: Load) -> None:
        self._session = session
        self._load = load
        self._last: _Looked | None = None

    def shard(self, number: int) -> tuple[ShardPlan, Done]:
        """A shard as planned, and which of its pieces are stored.

        Raises:
            LoadTaken: the load goes on elsewhere.
        """
        with reading(self._session.database) as connection:
            shard = self._shard(connection, number, lock=False)
            beyond = pieces_beyond(connection, [shard.id]).get(shard.id, [])
        return plan_of(shard), done_of(shard, beyond)

    def changed(self, piece: Piece) -> ToEmbed:
        """Which documents of a piece are new or have another text than the catalog.

        Raises:
            LoadTaken: the load goes on elsewhere.
        """
        with reading(self._session.database) as connection:
            state = self._session.row(connection)
            shard = self._shard(connection, piece.shard, lock=False)
            generation = self._session.live_in(connection, state).generation.id
            if has_piece(connection, shard, piece.number):
                return ToEmbed(generation, stored=True)
            looked = self._look(connection, piece, state.last_seq)
        self._last = looked
        return ToEmbed(generation, tuple(_to_embed(looked.batch, looked.changed)))

    def store(self, piece: Piece, embedded: EmbeddedPiece) -> PieceReport:
        """Writes documents, passages and codes of a piece, and that it is stored, or nothing of it.

        Raises:
            LoadTaken: the load goes on elsewhere.
            BadInput: it lies behind the end of its shard.
            DiskFull, ConnectionLost, LockedError, StorageError: nothing was written.
        """
        faults.point("piece.before")
        with writing(self._session.database) as connection:
            report = self._store(connection, piece, embedded)
        faults.point("piece.after")
        return report

    def note_bad(self, shard: int, reason: str) -> None:
        """A shard cannot be read to its end; the next start of the load tries again.

        Raises:
            LoadTaken: the load goes on elsewhere.
        """
        with writing(self._session.database) as connection:
            self._shard(connection, shard)
            set_bad(connection, self._load.id, shard, storable_text(reason))

    def begin_anew(self, shard: int, refused: Done) -> None:
        """A shard is not read as when the pieces that `refused` tells of were stored: none of them counts any
        more. What they had is unchanged when it comes again, and is not embedded. Nothing is done if more was
        stored meanwhile: who read that found it as it was.

        Raises:
            LoadTaken: the load goes on elsewhere.
        """
        with writing(self._session.database) as connection:
            now = self._shard(connection, shard)
            if (now.stored, now.digest) == (refused.stored, refused.digest) and now.state != DONE:
                reset_shard(connection, now, {ANEW: True})

    def _shard(self, connection: Connection, number: int, *, lock: bool = True) -> ShardInfo:
        """The shard, if the load is still ours; with `lock` nobody else changes it before this ends."""
        found = has_token(connection, self._load.id, self._load.token)
        shard = find_shard(connection, self._load.id, number, lock=lock) if found else None
        if shard is None:
            raise load_taken(self._session)
        return shard

    def _look(self, connection: Connection, piece: Piece, last_seq: int) -> _Looked:
        """What there is to write of a piece; looked up once more if anything was committed since."""
        last, self._last = self._last, None
        if last is not None and last.piece is piece and last.last_seq == last_seq:
            return last
        pending = [prepare(document, number=place) for place, document in enumerate(piece.documents)]
        batch = look_up(connection, self._session, pending)
        report = AddReport(received=len(piece.documents) + len(piece.skipped))
        for skipped in piece.skipped:
            report.skip(skipped)
        keep_out(batch, report, "skip")
        return _Looked(piece, last_seq, batch, changes_of(batch), report)

    def _store(self, connection: Connection, piece: Piece, embedded: EmbeddedPiece) -> PieceReport:
        state = self._session.row(connection)
        shard = self._shard(connection, piece.shard)
        if has_piece(connection, shard, piece.number):
            return PieceReport(THERE)
        generation = self._session.live_in(connection, state).generation.id
        looked = self._look(connection, piece, state.last_seq)
        batch, changed, report = looked.batch, looked.changed, looked.report
        wanted = _to_embed(batch, changed)
        if wanted and embedded.generation != generation:
            return PieceReport(STALE)
        made = _made_of(embedded, wanted)
        if made is None:
            return PieceReport(AGAIN)
        if moved := whereabouts_of(batch, changed):
            set_whereabouts(connection, moved)
        if changed:
            write_changes(
                connection, self._session, state, generation, list(changed.values()), batch.known, made
            )
        faults.point("piece.inside")
        self._count(shard, report, batch, changed, made)
        _note_stored(connection, shard, piece, report)
        faults.point("piece.noted")
        return PieceReport(STORED, _counts(report))

    def _count(
        self,
        shard: ShardInfo,
        report: AddReport,
        batch: Batch,
        changed: Mapping[str, DocumentChange],
        made: Embedded,
    ) -> None:
        report.unchanged = len(batch.pending) - len(changed)
        if changed:
            count_changes(report, batch, changed)
        report.chunks, report.clipped = made.chunks, made.clipped
        report.duplicates = batch.duplicates
        if not (shard.seen or {}).get(ANEW):  # what came before may be of this very shard
            report.duplicates += sum(
                self._is_of_load(row.seq) and not row.deleted
                for id_, row in batch.known.items()
                if id_ in batch.pending
            )

    def _is_of_load(self, seq: int) -> bool:
        """Whether the load wrote a change: it did all since it began but those between two of its starts."""
        of_others = (first < seq <= last for first, last in self._load.others)
        return seq > self._load.first_seq and not any(of_others)


def _to_embed(batch: Batch, changed: Mapping[str, DocumentChange]) -> list[int]:
    """Places of the documents of whose text there are no passages, in the order in which they are written."""
    return [batch.pending[id_].number for id_, change in changed.items() if change.text_changed]


def _made_of(embedded: EmbeddedPiece, places: Sequence[int]) -> Embedded | None:
    """Of what was embedded that of `places`, in their order; None if one is not among it."""
    at = {place: number for number, place in enumerate(embedded.places)}
    if not set(places) <= set(at):
        return None
    made = embedded.made
    if tuple(places) == embedded.places:
        return made
    rows = [at[place] for place in places]
    beside = {role: [codes[row] for row in rows] for role, codes in made.beside.items()}
    return Embedded([made.spans[r] for r in rows], [made.codes[r] for r in rows], made.clipped, beside)


def _note_stored(connection: Connection, shard: ShardInfo, piece: Piece, report: AddReport) -> None:
    """The piece is stored; with the pieces up to the first that is missing go the files that end in them."""
    pieces = piece.number + 1 if piece.last else shard.pieces
    if pieces is not None and piece.number >= pieces:
        raise BadInput(
            f"shard {shard.number} of the load has {pieces} pieces, and number {piece.number} came: what it"
            " is read from has changed; start with --restart"
        )
    files = {"files": files_to_json(piece.files)} if piece.files else None
    add_piece(connection, shard, piece.number, (piece.before, piece.digest), files)
    passed = pass_pieces(connection, shard)
    seen = note_piece(shard.seen, report, piece.notes)
    done = [file for one in passed.files for file in files_from_json(one["files"])]
    _record_files(connection, done, (seen or {}).get("denied", {}))
    whole = passed.stored == pieces and not passed.torn
    values: dict[str, Any] = {
        "stored": passed.stored,
        "pieces": None if passed.torn else pieces,
        "digest": passed.digest,
        "state": DONE if whole else shard.state,  # a bad one stays so: the next start reads it again
        "reason": None if whole else shard.reason,
        "seen": seen,
    }
    update_shard(connection, shard, _counts(report), values)


def _record_files(connection: Connection, files: Sequence[FileDone], denied: dict[str, int]) -> None:
    """Notes how files were when they were read. One of which nothing is here, as all of it was erased,
    leaves no row with its name.
    """
    record_files(connection, {one.file_id: (one.name, one.state) for one in files})
    suspects = [one.file_id for one in files if str(one.file_id) in denied]
    if suspects:
        there = documents_in(connection, suspects)
        drop_files(connection, [id_ for id_ in suspects if id_ not in there])


def _counts(report: AddReport) -> dict[str, int]:
    return {name: int(getattr(report, name)) for name in COUNTS}
