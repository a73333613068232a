"""Which files there are to read under the paths a person named, in a stable order."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from indexing.documents.formats import EXTENSIONS, format_of
from indexing.documents.model import Skipped
from indexing.documents.source import SourceFile
from indexing.errors import BadInput

__all__ = ["Plan", "plan_files"]


@dataclass
class Plan:
    """Files to read and files that will not be read with the reason, per root in order of their names.

    `unsupported` counts by extension what was met in folders and has no reader ("" without extension).
    """

    entries: list[SourceFile | Skipped] = field(default_factory=list)
    unsupported: Counter[str] = field(default_factory=Counter)

    @property
    def files(self) -> list[SourceFile]:
        return [entry for entry in self.entries if isinstance(entry, SourceFile)]


def plan_files(
    paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
    within: Iterable[str | os.PathLike[str]] | None = None,
) -> Plan:
    """Walk the paths. Raises `BadInput` for a missing one, before any file is opened.

    Hidden files and folders are passed over unless named. Symbolic links are followed; a file or folder
    reached twice is read once, under its real name where that lies in the same root. In a BEIR folder
    (`corpus.jsonl` beside `queries.jsonl` or `qrels/`) only the corpus is read: queries and judgments are
    not documents.

    What does not really lie below one of `within`, where those are given, is not read, whichever links lead
    to it.
    """
    roots = [Path(path) for path in ((paths,) if isinstance(paths, (str, os.PathLike)) else paths)]
    missing = [str(root) for root in roots if not root.exists()]
    if missing:
        raise BadInput(f"no such file or folder: {', '.join(missing)}; nothing was read")
    walk = _Walk(None if within is None else [Path(os.path.realpath(root)) for root in within])
    for root in roots:
        if not walk.allows(root):
            walk.plan.entries.append(Skipped(str(root), None, _OUTSIDE))
        elif root.is_dir():
            walk.folder(root)
        else:
            walk.named_file(root)
    return walk.plan


_OUTSIDE = "leads out of the folders that may be read"


class _Walk:
    def __init__(self, within: list[Path] | None) -> None:
        self.plan = Plan()
        self._within = within
        self._seen: set[str] = set()  # real paths of files and folders
        self._real: dict[Path, str] = {}

    def allows(self, path: Path) -> bool:
        """Whether `path`, all links followed, lies where one may read."""
        if self._within is None:
            return True
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(root) for root in self._within)

    def named_file(self, path: Path) -> None:
        kind = format_of(path.name)
        if kind is None:
            known = " ".join(EXTENSIONS)
            self.plan.entries.append(
                Skipped(str(path), None, f"this format is not supported; supported: {known}")
            )
        elif not path.is_file():
            self.plan.entries.append(Skipped(str(path), None, "is not a regular file"))
        elif self._first_visit(path):
            self.plan.entries.append(self._source(path.parent, path, path.name, kind, path.stat().st_size))

    def folder(self, root: Path) -> None:
        if not self._first_visit(root):
            return
        found: list[tuple[str, SourceFile | Skipped]] = []
        folders: list[Path] = [root]
        links: list[Path] = []
        # Links wait until everything that is really here has its own name.
        while folders or links:
            if not folders:
                link = links.pop(0)
                if not self.allows(link):
                    found.append((_name(root, link), Skipped(str(link), None, _OUTSIDE)))
                elif link.is_dir():
                    folders += [link] if self._first_visit(link) else []
                elif link.is_file():
                    self._file(root, link, found)
                continue
            self._list(root, folders.pop(), folders, links, found)
        found.sort(key=lambda pair: pair[0])
        self.plan.entries += [entry for _, entry in found]

    def _list(
        self,
        root: Path,
        folder: Path,
        folders: list[Path],
        links: list[Path],
        found: list[tuple[str, SourceFile | Skipped]],
    ) -> None:
        try:
            with os.scandir(folder) as scan:
                entries = sorted(
                    (entry for entry in scan if entry.name[0] != "."), key=lambda entry: entry.name
                )
        except OSError as error:
            skipped = Skipped(str(folder), None, f"the folder cannot be listed: {error.strerror}")
            found.append((_name(root, folder), skipped))
            return
        if _is_beir({entry.name for entry in entries}):
            entries = [entry for entry in entries if entry.name == "corpus.jsonl"]
        for entry in entries:
            path = folder / entry.name
            if entry.is_symlink():
                links.append(path)
            elif entry.is_dir():
                if self._first_visit(path):
                    folders.append(path)
            else:
                self._file(root, path, found)

    def _file(self, root: Path, path: Path, found: list[tuple[str, SourceFile | Skipped]]) -> None:
        kind = format_of(path.name)
        if kind is None:
            self.plan.unsupported[path.suffix.lower()] += 1
            return
        try:
            status = path.stat()
        except OSError as error:
            found.append((_name(root, path), Skipped(str(path), None, f"cannot be read: {error.strerror}")))
            return
        # A pipe or a device would keep the reader waiting for ever.
        if stat.S_ISREG(status.st_mode) and self._first_visit(path):
            name = _name(root, path)
            found.append((name, self._source(root, path, name, kind, status.st_size)))

    def _source(self, root: Path, path: Path, name: str, kind: str, size: int) -> SourceFile:
        if root not in self._real:
            # Its one name, however it was spelt; only the top ends with "/".
            self._real[root] = _readable(Path(os.path.realpath(root)).as_posix()).rstrip("/")
        # Absolute, because the process that parses may have another working directory.
        absolute = str(path.absolute())
        return SourceFile(absolute, _readable(str(path)), _readable(name), kind, size, self._real[root])

    def _first_visit(self, path: Path) -> bool:
        real = os.path.realpath(path)
        if real in self._seen:
            return False
        self._seen.add(real)
        return True


def _is_beir(names: set[str]) -> bool:
    return "corpus.jsonl" in names and ("queries.jsonl" in names or "qrels" in names)


def _name(root: Path, path: Path) -> str:
    return _readable(path.relative_to(root).as_posix())


def _readable(name: str) -> str:
    """A file name as valid Unicode: bytes that are none become U+FFFD."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
