"""Files inside files: what is attached to a letter, what an archive holds. One level down, never on disk."""

from __future__ import annotations

import mimetypes
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePath

from indexing.documents.formats import read_file
from indexing.documents.formats.registry import format_of
from indexing.documents.model import Item, Skipped
from indexing.documents.source import SourceFile

__all__ = ["Names", "member_items", "named_format", "safe_name"]

# What cannot be in a name that people read, and what would make it look like a way up or to the root.
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_LONGEST_NAME = 200


def member_items(file: SourceFile, name: str, data: bytes, format_: str) -> Iterator[Item]:
    """The items of a part of `file`; a part that cannot be read is told by its name."""
    part = file.member(name, data, format_)
    for item in read_file(part):
        if isinstance(item, Skipped):
            where = name if item.line is None else f"{name}, line {item.line}"
            yield Skipped(file.source, None, f"{where}: {item.reason}")
        else:
            yield item


def named_format(name: str, content_type: str = "") -> str | None:
    """The reader for a part: by its name, or by the type that it is sent with where the name says nothing."""
    found = format_of(name) if PurePath(name).suffix else None
    if found or not content_type:
        return found or format_of(name)
    return format_of("x" + (mimetypes.guess_extension(content_type) or ".none"))


def safe_name(name: str) -> str:
    """A name from outside as part of an id: no way up, no root, nothing invisible, of bounded length."""
    parts = _CONTROL.sub(" ", name).replace("\\", "/").split("/")
    name = "/".join(part.strip() for part in parts if part.strip() not in ("", ".", ".."))
    if len(name) > _LONGEST_NAME:
        suffix = PurePath(name).suffix[:20]
        name = name[: _LONGEST_NAME - len(suffix)] + suffix
    return name or "unnamed"


class Names:
    """Gives each part of a file a name of its own: a second `a.txt` becomes `a (2).txt`."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def give(self, name: str) -> str:
        name = safe_name(name)
        self._seen[name] += 1
        if self._seen[name] == 1:
            return name
        path = PurePath(name)
        return self.give(f"{name[: len(name) - len(path.suffix)]} ({self._seen[name]}){path.suffix}")
