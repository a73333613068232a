"""Which documents of a file that was changed are those that it had before.

A row without an id of its own is called by its line, so a row that is deleted or put in renames all below it.
What tells rows apart is their content: a row that is in the file as before keeps its key, and with it its
codes and what was said about it, wherever it stands now. Only what matches nothing goes by its place: an
edited row is the one between the same two others. So it is with all that is called by a number, within a
sheet or a list too. A part that has a name (a function, a message) goes by that first.
"""

from __future__ import annotations

import json
import re
import tempfile
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

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
    kept: list[_Number] = []  # of rows that are where they were
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
                if (number := _number_of(name)) is not None:
                    kept.append(number)
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
    new: Sequence[tuple[str, bytes]], former: Former, root: str, kept: Sequence[_Number]
) -> tuple[dict[int, Move], list[int]]:
    """What is to be moved, and the keys of what is not in the file any more."""
    by_number = [(name, digest) for name, digest in new if _number_of(name) is not None]
    by_name = [(name, digest) for name, digest in new if _number_of(name) is None]
    rest = [pair for pair in by_name if not _same_name(former, pair[0])]
    moved = _move_by_content([*rest, *by_number], former, root)
    met = {step.now for step in moved}
    moved += _move_by_place([name for name, _ in by_number if name not in met], former, root, kept, moved)
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
    new: Iterable[str], former: Former, root: str, kept: Sequence[_Number], moved: Sequence[_Moved]
) -> list[_Moved]:
    """Rows with another content, each as the one that stood between the same two rows: edited ones."""
    lists: dict[str, _List] = {}
    for within, number in kept:
        lists.setdefault(within, _List()).both.append((number, number))
    for step in moved:
        old, now = _number_of(step.before), _number_of(step.now)
        if old is not None and now is not None and old[0] == now[0]:
            lists.setdefault(old[0], _List()).both.append((old[1], now[1]))
    for name in former.documents:
        if name.startswith(f"{root}/") and (place := _number_of(name)) is not None:
            lists.setdefault(place[0], _List()).former.append((place[1], name))
    for name in new:
        if (place := _number_of(name)) is not None and place[0] in lists:
            lists[place[0]].new.append((place[1], name))
    return [
        _Moved(*former.take(before), before, name) for one in lists.values() for before, name in one.edited()
    ]


@dataclass
class _List:
    """Rows that are numbered together: (old number, new number) of those that were found, and (number, name)
    of those that were there and of those that are.
    """

    both: list[tuple[int, int]] = field(default_factory=list)
    former: list[tuple[int, str]] = field(default_factory=list)
    new: list[tuple[int, str]] = field(default_factory=list)

    def edited(self) -> Iterator[tuple[str, str]]:
        """(former name, new name) of rows between the same two others."""
        both = sorted(self.both)
        old_numbers = [old for old, _ in both]
        gaps: dict[int, deque[str]] = {}  # position of the row before → those that followed it
        for number, name in sorted(self.former):
            gaps.setdefault(bisect_left(old_numbers, number), deque()).append(name)
        order = sorted((now, position) for position, (_, now) in enumerate(both, start=1))
        new_numbers = [now for now, _ in order]
        for number, name in self.new:
            at = bisect_left(new_numbers, number)
            gap = gaps.get(order[at - 1][1] if at else 0)
            if gap:
                yield gap.popleft(), name


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


_Number = tuple[str, int]
"""What a row is numbered within (a file, a sheet, a list), and its number there."""

_NUMBERED = re.compile(r"(.*#(?:.*[!/.])?)([0-9]{1,18})", re.DOTALL)


def _number_of(name: str) -> _Number | None:
    """Of what is called by a number: `a.csv#12`, `a.xlsx#Sheet1!12`, `a.json#1.12`, `a.json#items/12`."""
    found = _NUMBERED.fullmatch(name)
    return (found[1], int(found[2])) if found else None


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
