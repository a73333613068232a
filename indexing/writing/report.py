"""What became of the documents of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from indexing.documents import Skipped

__all__ = ["AddReport", "Progress"]

KEPT_SKIPS = 1000  # skipped lines are counted without end but listed up to here
KEPT_NOTES = 20


@dataclass
class AddReport:
    """What became of the documents of one `add`.

    `duplicates` counts documents whose id had come before in the same run: the last one wins. `renamed`
    counts new documents whose id is longer than their path, because another file has the short one; `moved`
    changed ones whose file lay elsewhere before and is gone from there; `notes` name some of both. `denied`
    counts documents that were erased before and stayed out, which nothing names; `denied_numbers` has their
    places among those that were received, from 0, and `denied_files` counts them by the row of their file.
    `clipped` counts code values outside the calibrated ranges. `keyword_lag` is how many changes the keyword
    index still has to follow.
    """

    received: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates: int = 0
    renamed: int = 0
    moved: int = 0
    skipped: int = 0
    denied: int = 0
    denied_numbers: list[int] = field(default_factory=list)
    denied_files: Counter[int] = field(default_factory=Counter)
    skips: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    chunks: int = 0
    clipped: int = 0
    seconds: float = 0.0
    embed_seconds: float = 0.0
    commit_seconds: float = 0.0
    view_seconds: float = 0.0
    keyword_lag: int = 0

    @property
    def committed(self) -> int:
        """Documents that are safely stored, whether by this run or before it."""
        return self.added + self.updated + self.unchanged

    def skip(self, skipped: Skipped) -> None:
        self.skipped += 1
        if len(self.skips) < KEPT_SKIPS:
            self.skips.append(skipped)

    def deny(self, number: int, file_id: int | None) -> None:
        self.denied += 1
        if len(self.denied_numbers) < KEPT_SKIPS:
            self.denied_numbers.append(number)
        if file_id is not None:
            self.denied_files[file_id] += 1

    def note(self, note: str) -> None:
        if len(self.notes) < KEPT_NOTES:
            self.notes.append(note)


Progress = Callable[[AddReport], None]
