"""What a run over sources found and did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from indexing.writing.report import AddReport

__all__ = ["FileCounts", "Source", "SyncReport"]


@dataclass(frozen=True)
class Source:
    """A folder, or single files below one, that a collection was read from.

    `kind` is `folder` or `files`, `root` the real path, `options` those of `ReadOptions` that differ from its
    defaults. `confirmed` says that a person of this machine named it; what is not is not read and not shown.
    `files` and `documents` are what the collection has of it, `synced_at` when (UTC, ISO 8601).
    """

    id: int
    root: str
    kind: str
    options: dict[str, object]
    confirmed: bool
    files: int
    documents: int
    synced_at: str | None


@dataclass
class FileCounts:
    """Files of the sources: all of them, and of those the ones that were not read, as nothing about them had
    changed; read; renamed; gone; and read without a word of text in them.
    """

    total: int = 0
    unchanged: int = 0
    read: int = 0
    renamed: int = 0
    vanished: int = 0
    empty: int = 0


@dataclass
class SyncReport:
    """What became of the documents (`added`), and of the files.

    `renames` are (old id, new id) of documents. `unchanged` counts those of files that were not read,
    `vanished` those that are no longer in their files, `pruned` those of them that were removed. `refused`
    says why nothing was removed although it was asked for. `unreadable` counts files that could not be read
    before and have not changed. `left_out` and `unsupported` are those of `Plan`; `missing` are roots that
    are not there.
    """

    added: AddReport = field(default_factory=AddReport)
    files: FileCounts = field(default_factory=FileCounts)
    renames: list[tuple[str, str]] = field(default_factory=list)
    unchanged: int = 0
    vanished: int = 0
    pruned: int = 0
    refused: list[str] = field(default_factory=list)
    unreadable: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    unsupported: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether the collection has other documents, or other ids, than before."""
        return bool(
            self.added.added or self.added.updated or self.pruned or self.files.renamed or self.renames
        )
