"""Which documents of a file that was changed are those that it had before.

A row without an id of its own is called by its line, so a row that is deleted or put in renames all below it.
What tells rows apart is their content: a row that is in the file as before keeps its key, and with it its
codes and what was said about it, wherever it stands now. Only what matches nothing goes by its place: an
edited row is the one between the same two others. A part that has a name (a sheet, a function) goes by that
first.
"""

from __future__ import annotations

import json
import tempfile
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from indexing.catalog.hashing import hash_parts
from indexing.catalog.moving import Move
from indexing.documents import Document, Skipped
from indexing.documents.marks import marks_from_json, marks_to_json
from indexing.documents.model import Item

__all__ = ["Former", "match_documents", "new_ids"]

_HELD_CHARACTERS = 32 << 20  # of documents that wait for the end of their file; more of them go to the disk


class Former:
    """The documents that a file had and that were not met yet, by their origin, or by their id where that is
    their own: (key, id, digest of title and text) of each.
    """

    def __init__(self, rows: Iterable[tuple[int, str, str, str, str]] = (), prefix: str = "") -> None:
        """From (key, id, origin, title, text) of each; `prefix` may stand before ids of their own."""
        self.documents = {
            origin or id_.removeprefix(prefix): (key, id_, hash_parts(title, text))
            for key, id_, origin, title, text in rows
        }

    def __contains__(self, name: str) -> bool:
        return name in self.documents

    def take(self, name: str) -> tuple[int, str]:
        """Key and id of the document `name`, which was met."""
        key, id_, _ = self.documents.pop(name)
        return key, id_

    def has(self, name: str, digest: bytes) -> bool:
        """Whether `name` is there with this content."""
        return name in self.documents and self.documents[name][2] == digest

    def keys(self) -> list[int]:
        return [key for key, _, _ in self.documents.values()]

    def keys_of(self, names: Iterable[str]) -> list[int]:
        return [self.documents[name][0] for name in names if name in self.documents]


def match_documents(
    items: Iterable[Item],
    former: Former,
    root: str,
    move: Callable[[dict[int, Move], list[int], list[int]], None],
) -> Iterator[Item]:
    """`items` of one file, as they come, or at its end where another document may be meant. `move` is called
    with the documents of `former` that are called otherwise now, the keys of those that make room where one
    is wanted, and the keys of those whose name another document has now; what is left in `former` afterwards
    is no longer in the file.
    """
    kept: list[int] = []  # lines of rows that are where they were
    with _Waiting() as waiting:
        for item in items:
            if isinstance(item, Skipped):
                yield item
                continue
            name = item.origin or item.id
            if not item.origin:  # somebody's own id: it is this document, whatever it says
                if name in former:
                    former.take(name)
                yield item
            elif not former.documents:
                yield item
            elif former.has(name, hash_parts(item.title, item.text)):
                former.take(name)
                if (line := _line_of(name)) is not None:
                    kept.append(line)
                yield item
            else:
                waiting.put(item)
        moves, gone = _match(waiting.names(), former, root, kept)
        move(moves, gone, former.keys_of(name for name, _ in waiting.names()))
        yield from waiting


@dataclass(frozen=True)
class _Moved:
    key: int
    id: str
    before: str
    now: str


def _match(
    new: Sequence[tuple[str, bytes]], former: Former, root: str, kept: Sequence[int]
) -> tuple[dict[int, Move], list[int]]:
    """What is to be moved, and the keys of what is not in the file any more."""
    by_line = [(name, digest) for name, digest in new if _line_of(name) is not None]
    by_name = [(name, digest) for name, digest in new if _line_of(name) is None]
    rest = [pair for pair in by_name if not _same_name(former, pair[0])]
    moved = _move_by_content([*rest, *by_line], former, root)
    met = {step.now for step in moved}
    moved += _move_by_place([name for name, _ in by_line if name not in met], former, root, kept, moved)
    moves = {
        step.key: Move(new_ids(step.id, step.before, step.now, root), step.now)
        for step in moved
        if step.before != step.now
    }
    return moves, former.keys()


def _same_name(former: Former, name: str) -> bool:
    known = name in former
    if known:
        former.take(name)
    return known


def _move_by_content(new: Iterable[tuple[str, bytes]], former: Former, root: str) -> list[_Moved]:
    """What is in the file as before, the first of several alike first."""
    alike: dict[bytes, deque[str]] = {}
    for name, (_, _, digest) in former.documents.items():
        if name.startswith(f"{root}/"):
            alike.setdefault(digest, deque()).append(name)
    moved: list[_Moved] = []
    for name, digest in new:
        if same := alike.get(digest):
            before = same.popleft()
            moved.append(_Moved(*former.take(before), before, name))
    return moved


def _move_by_place(
    new: Iterable[str], former: Former, root: str, kept: Sequence[int], moved: Sequence[_Moved]
) -> list[_Moved]:
    """Rows with another content, each as the one that stood between the same two rows: edited ones."""
    stays = [(line, line) for line in kept]
    pairs = [(_line_of(step.before), _line_of(step.now)) for step in moved]
    both = sorted([*stays, *((old, now) for old, now in pairs if old is not None and now is not None)])
    old_lines = [old for old, _ in both]
    gaps: dict[int, deque[str]] = {}  # number of the row before → those that followed it
    rows = [(line, name) for name in former.documents if (line := _line_of(name)) is not None]
    for line, name in sorted(rows):
        if name.startswith(f"{root}/"):
            gaps.setdefault(bisect_left(old_lines, line), deque()).append(name)
    order = sorted((now, number) for number, (_, now) in enumerate(both, start=1))
    new_lines = [now for now, _ in order]
    found: list[_Moved] = []
    for name in new:
        line = _line_of(name)
        assert line is not None
        at = bisect_left(new_lines, line)
        gap = gaps.get(order[at - 1][1] if at else 0)
        if gap:
            before = gap.popleft()
            found.append(_Moved(*former.take(before), before, name))
    return found


def new_ids(id_: str, before: str, now: str, root: str) -> tuple[str, ...]:
    """What a document may be called whose origin was `before` and is `now`: with the folders before it that
    its id had, then with more of them.
    """
    short = now[len(root) + 1 :]
    old_short = before[len(root) + 1 :]
    prefix = id_[: -len(old_short)] if old_short and id_.endswith(old_short) else ""
    folders = now[: -len(short) - 1].split("/")
    longer = ["/".join([*folders[-count:], short]) for count in range(1, len(folders) + 1)]
    return tuple(dict.fromkeys([prefix + short, short, *longer]))


def _line_of(name: str) -> int | None:
    """The line, of what is called by its line."""
    line = name.rpartition("#")[2]
    return int(line) if line.isascii() and line.isdecimal() and len(line) < 19 else None


class _Waiting:
    """Documents that wait, in memory or beyond that in a file without a name."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed with the object
            max_size=_HELD_CHARACTERS, mode="w+", encoding="utf-8"
        )
        self._names: list[tuple[str, bytes]] = []

    def __enter__(self) -> _Waiting:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def put(self, document: Document) -> None:
        self._names.append((document.origin, hash_parts(document.title, document.text)))
        row = [
            document.id,
            document.text,
            document.title,
            document.metadata,
            document.origin,
            marks_to_json(document.marks),
            document.file_id,
        ]
        self._file.write(json.dumps(row) + "\n")  # ASCII, half surrogates among it

    def names(self) -> Sequence[tuple[str, bytes]]:
        return self._names

    def __iter__(self) -> Iterator[Document]:
        self._file.seek(0)
        for line in self._file:
            id_, text, title, metadata, origin, marks, file_id = json.loads(line)
            yield Document(id_, text, title, metadata, origin, marks_from_json(marks), file_id)
