"""Which files there are to read under the paths a person named, in a stable order."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from indexing.documents.formats import EXTENSIONS, format_of
from indexing.documents.ignoring import Rules, read_ignore_file
from indexing.documents.model import Skipped
from indexing.documents.options import ReadOptions
from indexing.documents.source import SourceFile
from indexing.errors import BadInput

__all__ = ["UNSUPPORTED", "Plan", "check_paths", "is_beir", "plan_files", "readable_name", "real_name"]

UNSUPPORTED = f"this format is not supported; supported: {' '.join(EXTENSIONS)}"
"""Why a file that a person named is not read."""


@dataclass
class Plan:
    """Files to read and files that will not be read with the reason, per root in order of their names.

    `unsupported` counts by extension what was met in folders and has no reader ("" without extension);
    `left_out` counts files and folders by why they were passed over: `hidden`, `vendored`, `ignored`,
    `excluded`. `unknown` are files and folders that are there and could not be looked at, by their names
    below the root.
    """

    entries: list[SourceFile | Skipped] = field(default_factory=list)
    unsupported: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    unknown: list[str] = field(default_factory=list)

    @property
    def files(self) -> list[SourceFile]:
        return [entry for entry in self.entries if isinstance(entry, SourceFile)]


def plan_files(
    paths: Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
    within: Iterable[str | os.PathLike[str]] | None = None,
    options: ReadOptions | None = None,
) -> Plan:
    """Walk the paths. Raises `BadInput` for a missing one, before any file is opened.

    What `options` leave out is passed over unless named. Symbolic links are followed; a file or folder
    reached twice is read once, under its real name where that lies in the same root. In a BEIR folder
    (`corpus.jsonl` beside `queries.jsonl` or `qrels/`) only the corpus is read: queries and judgments are
    not documents.

    What does not really lie below one of `within`, where those are given, is not read, whichever links lead
    to it.
    """
    roots = [Path(path) for path in ((paths,) if isinstance(paths, (str, os.PathLike)) else paths)]
    check_paths(roots)
    walk = _Walk(None if within is None else [Path(os.path.realpath(root)) for root in within], options)
    for root in roots:
        if not walk.allows(root):
            walk.plan.entries.append(Skipped(str(root), None, _OUTSIDE))
        elif root.is_dir():
            walk.folder(root)
        else:
            walk.named_file(root)
    return walk.plan


def check_paths(paths: Iterable[Path]) -> None:
    """Raises `BadInput` for what is not there."""
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise BadInput(f"no such file or folder: {', '.join(missing)}; nothing was read")


_OUTSIDE = "leads out of the folders that may be read"
_NOT_REGULAR = "is not a regular file"
_LEADS_NOWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


@dataclass(frozen=True)
class _Folder:
    """A folder to list: by the path it was reached by, its real path, its path below the root, and the rules
    of what lies above it.
    """

    path: str
    real: str
    below: str
    rules: Rules


class _Walk:
    def __init__(self, within: list[Path] | None, options: ReadOptions | None) -> None:
        self.plan = Plan()
        self._within = within
        self._options = options or ReadOptions()
        self._seen: set[str] = set()  # real paths of files and folders
        self._found: list[tuple[str, SourceFile | Skipped]] = []
        self._root = self._real_root = ""

    def allows(self, path: str | Path) -> bool:
        """Whether `path`, all links followed, lies where one may read."""
        if self._within is None:
            return True
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(root) for root in self._within)

    def named_file(self, path: Path) -> None:
        kind = format_of(path.name)
        real = os.path.realpath(path)
        if kind is None:
            self.plan.entries.append(Skipped(str(path), None, UNSUPPORTED))
        elif not path.is_file():
            self.plan.entries.append(Skipped(str(path), None, _NOT_REGULAR))
        elif self._first_visit(real):
            self._start(path.parent)
            entry = self._source(str(path), path.name, kind, path.stat())
            self.plan.entries.append(entry)

    def folder(self, root: Path) -> None:
        self._start(root)
        if not self._first_visit(self._real_root or "/"):
            return
        self._found = []
        folders = [_Folder(self._root, self._real_root or "/", "", Rules.of(self._options))]
        links: list[tuple[str, _Folder]] = []
        # Links wait until everything that is really here has its own name.
        while folders or links:
            if folders:
                self._list(folders.pop(), folders, links)
            else:
                self._follow(*links.pop(0), folders)
        self._found.sort(key=lambda pair: pair[0])
        self.plan.entries += [entry for _, entry in self._found]

    def _start(self, root: Path) -> None:
        self._root = str(root)
        # Its one name, however it was spelt; only the top ends with "/".
        self._real_root = os.path.realpath(root).rstrip("/")

    def _list(self, folder: _Folder, folders: list[_Folder], links: list[tuple[str, _Folder]]) -> None:
        try:
            with os.scandir(folder.path) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            self._skip(folder.path, folder.below, f"the folder cannot be listed: {error.strerror}")
            return
        names = {entry.name for entry in entries}
        if folder.below and folder.rules.is_vendored(folder.below.rpartition("/")[2], names):
            self.plan.left_out["vendored"] += 1
            return
        path = Path(folder.path)
        rules = folder.rules.inside(lambda name: read_ignore_file(path / name), folder.below, names)
        if is_beir(names):
            entries = [entry for entry in entries if entry.name == "corpus.jsonl"]
        for entry in entries:
            below = f"{folder.below}/{entry.name}" if folder.below else entry.name
            is_folder = _leads_to_folder(entry)
            if reason := rules.reason_against(below, folder=is_folder):
                self.plan.left_out[reason] += 1
                continue
            here = _Folder(entry.path, f"{folder.real.rstrip('/')}/{entry.name}", below, rules)
            if entry.is_symlink():
                links.append((entry.path, here))
            elif is_folder:
                if self._first_visit(here.real):
                    folders.append(here)
            else:
                self._file(entry.path, below, here.real)

    def _follow(self, path: str, link: _Folder, folders: list[_Folder]) -> None:
        real = os.path.realpath(path)
        if not self.allows(path):
            self._skip(path, link.below, _OUTSIDE)
            return
        try:
            is_folder = stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116 - as below
        except OSError as error:
            if error.errno not in _LEADS_NOWHERE:
                self._skip(path, link.below, f"cannot be read: {error.strerror}")
            elif format_of(link.below) is not None:
                self._skip(path, link.below, "is a link to what is not there")
            return
        if not is_folder:
            self._file(path, link.below, real)
        elif self._first_visit(real):
            folders.append(_Folder(path, real, link.below, link.rules))

    def _file(self, path: str, below: str, real: str) -> None:
        kind = format_of(below.rpartition("/")[2])
        if kind is None or (kind == "archive" and not self._options.archives):
            self.plan.unsupported[Path(below).suffix.lower()] += 1
            return
        try:
            status = os.stat(path)  # noqa: PTH116 - of thousands of files, each a text already
        except OSError as error:
            self._skip(path, below, f"cannot be read: {error.strerror}")
            return
        # A pipe or a device would keep the reader waiting for ever.
        if stat.S_ISREG(status.st_mode) and self._first_visit(real):
            self._found.append((readable_name(below), self._source(path, below, kind, status)))

    def _skip(self, path: str, below: str, reason: str) -> None:
        self._found.append((readable_name(below), Skipped(readable_name(path), None, reason)))
        self.plan.unknown.append(readable_name(below))

    def _source(self, path: str, below: str, kind: str, status: os.stat_result) -> SourceFile:
        return SourceFile(
            # Absolute, because the process that parses may have another working directory.
            os.path.abspath(path),  # noqa: PTH100
            readable_name(path),
            readable_name(below),
            kind,
            status.st_size,
            readable_name(self._real_root),
            modified=status.st_mtime_ns,
            changed=status.st_ctime_ns,
            inode=status.st_ino & (2**63 - 1),
            options=self._options,
        )

    def _first_visit(self, real: str) -> bool:
        if real in self._seen:
            return False
        self._seen.add(real)
        return True


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or through a folder that may not be entered
        return False


def is_beir(names: set[str]) -> bool:
    """Whether a folder that holds `names` is a corpus with questions and judgments beside it."""
    return "corpus.jsonl" in names and ("queries.jsonl" in names or "qrels" in names)


_ESCAPE = re.compile(r"\\(?=x[0-9a-f]{2})")


def readable_name(name: str) -> str:
    """A file name as valid Unicode, of which no two are alike: bytes that are none are written `\\xff`."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return (
            _ESCAPE.sub(r"\\x5c", name).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        )
    return _ESCAPE.sub(r"\\x5c", name) if "\\x" in name else name


_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")


def real_name(name: str) -> str:
    """The file name, or path, that `readable_name` made readable."""
    if "\\x" not in name:
        return name
    return os.fsdecode(_ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), name.encode()))
