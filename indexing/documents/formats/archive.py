"""Archives (zip, tar, compressed tar): each file in them that has a reader, one level deep, where asked for.

Members are read into memory one by one and never written: their names are parts of ids, not paths. Links,
devices and archives within archives are passed over.
"""

from __future__ import annotations

import lzma
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePath

from indexing.documents.formats.bounded import (
    MAX_MEMBER,
    MAX_MEMBERS,
    Counted,
    open_seekable,
    open_zip,
    read_bounded,
    read_member,
)
from indexing.documents.formats.members import Names, member_items
from indexing.documents.formats.registry import format_of
from indexing.documents.model import Item, Skipped
from indexing.documents.source import SourceFile, Unreadable
from indexing.documents.unpack import show_size

__all__ = ["read"]

_KINDS_SAID = 8
# What systems put beside files without anybody having written it.
_FURNITURE = ("__MACOSX/", ".DS_Store", "Thumbs.db")


def read(file: SourceFile) -> Iterator[Item]:
    if file.inside:
        raise Unreadable("is an archive within another file: one level is read")
    if not file.options.archives:
        raise Unreadable("is an archive: say --archives to read what is in it")
    with file.open() as stream:
        zipped = stream.peek(4)[:2] == b"PK"
    unread: Counter[str] = Counter()
    yield from _read_zip(file, unread) if zipped else _read_tar(file, unread)
    for kind, count in unread.most_common(_KINDS_SAID):
        file.note(f"holds {count} {kind} that {'has' if count == 1 else 'have'} no reader")


def _read_zip(file: SourceFile, unread: Counter[str]) -> Iterator[Item]:
    names = Names()
    with open_seekable(file) as stream, open_zip(stream, file.size) as container:
        for info in container.infolist():
            if info.is_dir() or not (format_ := _reader(info.filename, unread)):
                continue
            name = names.give(info.filename)
            try:
                data = read_member(container, info)
            except Unreadable as error:
                yield Skipped(file.source, None, f"{name}: {error}")
            else:
                yield from member_items(file, name, data, format_)


def _read_tar(file: SourceFile, unread: Counter[str]) -> Iterator[Item]:
    names, counted = Names(), Counted(file.size)
    try:
        with file.open() as stream, tarfile.open(fileobj=stream, mode="r|") as container:
            for number, info in enumerate(container):
                if number >= MAX_MEMBERS:
                    raise Unreadable(f"holds more than {MAX_MEMBERS:,} files; the ones before are kept")
                counted.take(512)
                if not info.isreg() or not (format_ := _reader(info.name, unread)):
                    continue
                name = names.give(info.name)
                if info.size > MAX_MEMBER:
                    reason = f"has {show_size(info.size)}, {show_size(MAX_MEMBER)} are allowed"
                    yield Skipped(file.source, None, f"{name}: {reason}")
                    continue
                counted.take(info.size)
                part = container.extractfile(info)
                if part is not None:
                    yield from member_items(file, name, read_bounded(part), format_)  # type: ignore[arg-type]
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
        raise Unreadable(f"is not a valid tar archive: {error}") from error


def _reader(name: str, unread: Counter[str]) -> str | None:
    """The reader of a member; one that has none is counted by its extension."""
    if any(part in name for part in _FURNITURE):
        return None
    format_ = format_of(name)
    if format_ is None or format_ == "archive":
        unread[PurePath(name).suffix.lower() or "files without extension"] += 1
        return None
    return format_
