"""Which files of a source have to be read: what is there against what was there.

A file is passed over, unread, if size, times and inode are those of the last reading, and if that reading
began safely after the file's last change: within the grain of the file system's clock a second change
leaves no trace (git calls such a file racily clean).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from indexing.catalog.sources import FileInfo, FileState
from indexing.documents.formats import READERS
from indexing.documents.options import ReadOptions
from indexing.documents.source import SourceFile
from indexing.documents.walk import Plan

__all__ = ["Comparison", "compare", "digest_of", "reader_of", "state_of"]

GRAIN = 2_000_000_000  # nanoseconds: of FAT, the coarsest that is in use
_PIECE = 1 << 20
# These problems take their time each time: only another file is worth another try.
_COSTLY = ("the parser ", "needs more memory", "unfolds to more")


@dataclass
class Comparison:
    """Files to read (`to_read`, those of them that were renamed by the id of their row in `renamed`), names
    that are as they were, and rows whose file is gone.
    """

    to_read: list[SourceFile] = field(default_factory=list)
    renamed: dict[str, FileInfo] = field(default_factory=dict)
    unchanged: list[FileInfo] = field(default_factory=list)
    vanished: list[FileInfo] = field(default_factory=list)


def compare(plan: Plan, known: Mapping[str, FileInfo], *, stale_too: bool, all_files: bool) -> Comparison:
    """`plan` against the rows of its source by name. With `stale_too` files are read that have documents
    which were not in them last time; with `all_files` every file is.
    """
    found = Comparison()
    names = {file.name for file in plan.files}
    for file in plan.files:
        row = known.get(file.name)
        if row is not None and not all_files and _is_unchanged(file, row.state, stale_too):
            found.unchanged.append(row)
        else:
            found.to_read.append(file)
    gone = [row for name, row in known.items() if name not in names]
    vanished: dict[str, FileInfo] = {}
    for row in gone:
        if any(_is_below(row.name, folder) for folder in plan.unknown):
            found.unchanged.append(row)
        else:
            vanished[row.name] = row
    found.renamed = _renamed(found.to_read, known, vanished)
    left = {row.id for row in found.renamed.values()}
    found.vanished = [row for row in vanished.values() if row.id not in left]
    return found


def _is_unchanged(file: SourceFile, row: FileState, stale_too: bool) -> bool:
    if not row.read_at or row.reader != reader_of(file) or (stale_too and row.stale):
        return False
    if row.problem is not None and not row.problem.startswith(_COSTLY):
        return False
    same = (file.size, file.modified, file.changed, file.inode) == (
        row.size,
        row.modified,
        row.changed,
        row.inode,
    )
    # The time of the last change of the inode cannot be set by hand; elsewhere it is that of creation.
    last = row.changed if os.name == "posix" else row.modified
    return same and last < row.read_at - GRAIN


def _renamed(
    to_read: list[SourceFile], known: Mapping[str, FileInfo], vanished: Mapping[str, FileInfo]
) -> dict[str, FileInfo]:
    """New name → row of the file that was called otherwise: the same inode with the same content as far as
    times and size tell, else the same bytes.
    """
    renamed = _renamed_onto_each_other(to_read, known, vanished)
    taken = {row.id for row in renamed.values()}
    rows = [row for row in vanished.values() if row.id not in taken]
    by_size: dict[int, list[FileInfo]] = {}
    for row in rows:
        by_size.setdefault(row.state.size, []).append(row)
    new = [file for file in to_read if file.name not in known]
    for file in new:
        candidates = [row for row in by_size.get(file.size, ()) if row.id not in taken and row.state.digest]
        if file.name in renamed or not candidates or not file.size:
            continue
        digest = digest_of(file)
        same = [row for row in candidates if row.state.digest == digest]
        if same:
            # Of several copies the one of the same name in another folder.
            row = max(same, key=lambda row: row.name.rpartition("/")[2] == file.name.rpartition("/")[2])
            renamed[file.name] = row
            taken.add(row.id)
    return renamed


def _renamed_onto_each_other(
    to_read: list[SourceFile], known: Mapping[str, FileInfo], vanished: Mapping[str, FileInfo]
) -> dict[str, FileInfo]:
    """The same inode with the same content under another name, which may be one that another file had until
    it was renamed itself: two that change places, a log that is rotated. A file that only replaces another
    is an edit of that one.
    """
    replaced = [row for file in to_read if (row := known.get(file.name)) and row.state.inode != file.inode]
    left = {_inode(row.state): row for row in (*vanished.values(), *replaced)}
    here = {row.name for row in replaced}
    renamed: dict[str, FileInfo] = {}
    for file in to_read:
        row = left.get(_inode(file)) if file.size and (file.name in here or file.name not in known) else None
        # The number of an inode is used again, by a file of the same size and time perhaps.
        if row is not None and row.state.digest in (b"", digest_of(file)):
            renamed[file.name] = left.pop(_inode(file))
    while True:
        moved_on = {row.id for row in renamed.values()}
        stays = [name for name in renamed if name in known and known[name].id not in moved_on]
        if not stays:
            return renamed
        for name in stays:
            del renamed[name]


def _inode(file: SourceFile | FileState) -> tuple[int, int, int]:
    return file.inode, file.size, file.modified


def state_of(file: SourceFile, read_at: int) -> FileState:
    """How a file was when it was found, to be kept once it was read; `read_at` is when that was."""
    state = FileState(file.size, file.modified, file.changed, file.inode)
    return replace(state, digest=digest_of(file), read_at=read_at, reader=reader_of(file))


def reader_of(file: SourceFile) -> str:
    """What reads a file, and how: with another one it has to be read again."""
    return f"{file.format} {READERS} {_fingerprint(file.options)}"


@lru_cache(maxsize=16)
def _fingerprint(options: ReadOptions) -> str:
    how = [options.text_fields, options.title_field, options.id_field, options.archives]
    return hashlib.blake2b(json.dumps(how).encode(), digest_size=6).hexdigest()


def digest_of(file: SourceFile) -> bytes:
    """BLAKE2b of its bytes, 16 of them; empty if it cannot be read any more."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        with Path(file.path).open("rb", buffering=0) as stream:
            while piece := stream.read(_PIECE):
                digest.update(piece)
    except OSError:
        return b""
    return digest.digest()


def _is_below(name: str, folder: str) -> bool:
    return not folder or name == folder or name.startswith(f"{folder}/")
