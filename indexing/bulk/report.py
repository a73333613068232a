"""What became of a bulk load."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from indexing.documents import Skipped
from indexing.sources.report import SyncReport
from indexing.writing.report import AddReport

__all__ = [
    "AGAIN",
    "ANEW",
    "STALE",
    "STORED",
    "THERE",
    "BadShard",
    "LoadProgress",
    "LoadReport",
    "PieceReport",
    "ToEmbed",
    "note_piece",
    "read_notes",
]

STORED, THERE, STALE, AGAIN = "stored", "there", "stale", "again"
"""What became of a piece."""

ANEW = "anew"
"""Noted of a shard of which documents were stored already when it was begun anew."""

_MOST_SKIPS = 20  # of a shard, that are kept in the catalog; all are counted
_MOST_NOTES = 5


@dataclass(frozen=True)
class BadShard:
    """A part of a source that could not be read to its end, and why; `spec` is as planned."""

    number: int
    reason: str
    spec: dict[str, Any]


@dataclass
class LoadReport:
    """What became of a load, all of its starts together: what was stored before it was stopped counts too.

    Attributes:
        added: of documents, as after one `add`; `duplicates` are ids that came again in it, of which the one
            that was stored last is there. Lists of skips and notes have the first of each shard.
        shards, done: parts of the source, and those that are stored whole.
        bad: parts that could not be read, up to 1,000 of the `bad_count` that there are; the next start
            tries them again.
        resumed: whether it went on with the plan of an earlier start.
        finished: whether everything is stored.
        synced: what became of folders afterwards: of files that had changed, were renamed or gone.
    """

    added: AddReport = field(default_factory=AddReport)
    shards: int = 0
    done: int = 0
    bad: list[BadShard] = field(default_factory=list)
    bad_count: int = 0
    resumed: bool = False
    finished: bool = False
    synced: SyncReport | None = None


LoadProgress = Callable[[LoadReport], None]
"""Called after pieces were stored; what it raises ends the work, and what was stored stays."""


@dataclass(frozen=True)
class PieceReport:
    """What became of one piece; plain values.

    Attributes:
        outcome: `stored`; `there`, as it was stored before; `stale`, as another generation is live now than
            the one it was embedded for; `again`, as other documents of it are to be embedded than were: ask
            what changed once more. Of the last two nothing was written.
        counts: by the names of `indexing.catalog.loads.COUNTS`, of what was written.
    """

    outcome: str
    counts: dict[str, int] = field(default_factory=dict)

    def to_row(self) -> dict[str, Any]:
        return {"outcome": self.outcome, "counts": dict(self.counts)}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> PieceReport:
        return cls(str(row["outcome"]), {name: int(count) for name, count in row["counts"].items()})


@dataclass(frozen=True)
class ToEmbed:
    """What is to be embedded of a piece, as plain values: for the `generation`, the documents at `places`
    (from 0). With `stored` the piece is in the catalog already.
    """

    generation: int
    places: tuple[int, ...] = ()
    stored: bool = False

    def to_row(self) -> dict[str, Any]:
        return {"generation": self.generation, "places": list(self.places), "stored": self.stored}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> ToEmbed:
        return cls(int(row["generation"]), tuple(row["places"]), bool(row["stored"]))


def note_piece(
    seen: dict[str, Any] | None, report: AddReport, said: Iterable[str] = ()
) -> dict[str, Any] | None:
    """What is kept of a shard with what came of one more piece, of which `said` was noted when it was read;
    None for nothing.
    """
    seen = seen or {}
    skips = [*seen.get("skips", []), *([one.source, one.line, one.reason] for one in report.skips)]
    notes = [*dict.fromkeys([*seen.get("notes", []), *said, *report.notes])]
    denied = dict(seen.get("denied", {}))
    for file_id, count in report.denied_files.items():
        denied[str(file_id)] = denied.get(str(file_id), 0) + count
    kept = {"skips": skips[:_MOST_SKIPS], "notes": notes[:_MOST_NOTES], "denied": denied}
    kept[ANEW] = seen.get(ANEW, False)
    return {name: value for name, value in kept.items() if value} or None


def read_notes(report: AddReport, seen: Iterable[dict[str, Any]]) -> None:
    """Lists in a report what was kept of shards; the counts are there already."""
    skipped, report.skipped = report.skipped, 0
    for one in seen:
        for source, line, reason in one.get("skips", []):
            report.skip(Skipped(source, line, reason))
        for note in one.get("notes", []):
            if note not in report.notes:
                report.note(note)
        for file_id, count in one.get("denied", {}).items():
            report.denied_files[int(file_id)] += count
    report.skipped = skipped
