"""Indexes the files and asks about each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from indexing import Collection
from indexing.documents.options import ReadOptions
from tests.people_files.plan import AskedFile

__all__ = ["Asked", "ask", "index"]


@dataclass
class Asked:
    """A question that was asked, and the files of the best results, best first."""

    file: AskedFile
    found: list[str] = field(default_factory=list)
    rank: int | None = None
    """From 1; None where the file is not among the results."""


def index(collection: Collection, folder: Path) -> None:
    collection.sync(folder, options=ReadOptions(archives=True))


def ask(
    collection: Collection, folder: Path, files: Sequence[AskedFile], mode: str, k: int = 3
) -> list[Asked]:
    answers = []
    for file in files:
        results = collection.search(file.question, k, mode=mode).results
        found = [_file_of(result.origin, folder) or result.id for result in results]
        rank = found.index(file.path) + 1 if file.path in found else None
        answers.append(Asked(file, found, rank))
    return answers


def _file_of(origin: str, folder: Path) -> str:
    """The file below `folder` that a result is from: a member's origin is its file's, `#` and its name."""
    try:
        return Path(origin).relative_to(folder).as_posix().partition("#")[0] if origin else ""
    except ValueError:
        return ""
