"""Documents of a collection for programs: stored line by line or at once, read, changed, deleted.

One process at a time writes to a collection. Who comes while another does waits, for as long as `wait` says.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from app.facade.caller import Caller, require
from indexing.documents.model import Document
from indexing.errors import BadInput, LockedError
from indexing.search.filter_spelling import Given

if TYPE_CHECKING:
    from indexing import AddReport, Collection
    from indexing.catalog.stored import StoredDocument

__all__ = [
    "KEPT_FAILURES",
    "MOST_CHARACTERS",
    "WAIT_SECONDS",
    "Failure",
    "Upload",
    "UploadReport",
    "add_documents",
    "check_length",
    "delete_documents",
    "get_documents",
    "list_documents",
    "read_bounded",
    "update_metadata",
]

T = TypeVar("T")

WAIT_SECONDS = 20.0
"""A batch of another process takes about a second; a reindex begins and ends with as much."""

MOST_CHARACTERS = 32 * 2**20
"""Of the texts of one answer together, or one document that is longer: more is asked for in parts."""

KEPT_FAILURES = 1_000  # more are counted only
_LOOK_SECONDS = 0.02
_READ_AT_ONCE = 500
_LISTED_AT_ONCE = 50  # few, as documents of any length are held meanwhile
_NUMBER = re.compile(r"document (\d+)")
_MOST = 1e30  # far more than a component of a vector has, and squares of it are finite
_DENIED = (
    "it was erased from this collection before, and stays out until somebody who manages it allows it again"
)
_WORTH_PUBLISHING = 512  # changes; `Collection.add` publishes by itself from so many


@dataclass(frozen=True)
class Failure:
    """A document that was not stored: `line` from 1, of what was sent."""

    line: int
    id: str | None
    reason: str


@dataclass
class UploadReport:
    """What became of lines, or documents, that were sent. `stored_lines`: so many, from the first on, are
    safe or named in `failures`; `failed` counts those that are not listed, too.
    """

    stored_lines: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def fail(self, line: int, id_: str | None, reason: str) -> None:
        self.failed += 1
        if len(self.failures) < KEPT_FAILURES:
            self.failures.append(Failure(line, id_, reason))


class Upload:
    """Documents that come in pieces, one JSON object a line: `{"id", "text", "title"?, "metadata"?}`, and
    `"vector"` in a collection without a model. Each piece is safe when `add_lines` returns.

    Raises:
        NotAllowed: the caller may not write to this collection.
    """

    def __init__(self, caller: Caller, collection: Collection, *, wait: float = WAIT_SECONDS) -> None:
        require(caller, "write", collection)
        self.report = UploadReport()
        self._collection = collection
        self._wait = wait
        self._seen = 0
        self._dimension = collection.own_vectors

    def add_lines(self, lines: Sequence[bytes]) -> None:
        """Store what these lines say. A line that cannot be used is named in the report, the others are
        stored.

        Raises:
            LockedError: another process wrote for longer than `wait`.
            DiskFull, StorageError: nothing of this piece is sure to be stored.
        """
        documents: list[Document] = []
        vectors: list[list[float]] = []
        numbers: list[int] = []
        for number, line in enumerate(lines, self._seen + 1):
            if not line.strip():
                continue
            try:
                document, vector = self._read(line)
            except _BadLine as bad:
                self.report.fail(number, bad.id, str(bad))
                continue
            documents.append(document)
            vectors.append(vector)
            numbers.append(number)
        self._store(documents, vectors, numbers)
        self._seen += len(lines)
        self.report.stored_lines = self._seen

    def finish(self) -> UploadReport:
        """Let other processes see the words of many documents at once, and return the report."""
        if self.report.added + self.report.updated >= _WORTH_PUBLISHING:
            self._collection.refresh()
        return self.report

    def _read(self, line: bytes) -> tuple[Document, list[float]]:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
            raise _BadLine(None, f"not valid JSON: {reason}") from None
        if not isinstance(value, dict):
            raise _BadLine(None, f"a document is an object with 'id' and 'text', this is {_kind(value)}")
        id_ = value.get("id") if isinstance(value.get("id"), str) else None
        vector = value.pop("vector", None) if self._dimension is not None else []
        try:
            return Document.from_any(value), _checked(vector, self._dimension)
        except BadInput as error:
            raise _BadLine(id_, str(error)) from None

    def _store(self, documents: list[Document], vectors: list[list[float]], numbers: list[int]) -> None:
        if not documents:
            return
        given = vectors if self._dimension is not None else None
        report = patiently(
            lambda: self._collection.add(documents, vectors=given, on_error="skip"), self._wait
        )
        _count(self.report, report, documents, numbers)


def add_documents(
    caller: Caller,
    collection: Collection,
    documents: Iterable[Mapping[str, Any]],
    *,
    wait: float = WAIT_SECONDS,
) -> UploadReport:
    """Store a few documents at once; one that cannot be used is named in the report, by its number from 1.

    Raises:
        NotAllowed: the caller may not write to this collection.
        LockedError: another process wrote for longer than `wait`.
    """
    require(caller, "write", collection)
    report = UploadReport()
    sound, numbers, number = [], [], 0
    for number, one in enumerate(documents, 1):
        try:
            sound.append(Document.from_any(one))
            numbers.append(number)
        except BadInput as error:
            report.fail(number, None, str(error))
    if sound:
        added = patiently(lambda: collection.add(sound, on_error="skip"), wait)
        _count(report, added, sound, numbers)
    report.stored_lines = number
    return report


def get_documents(caller: Caller, collection: Collection, ids: Iterable[str]) -> dict[str, StoredDocument]:
    """Documents by id; those that do not exist are not among them.

    Raises:
        NotAllowed: the caller may not search this collection.
    """
    require(caller, "search", collection)
    return collection.get(ids)


def list_documents(
    caller: Caller,
    collection: Collection,
    filter: Given | None = None,
    *,
    after: str | None = None,
    limit: int = 100,
) -> tuple[list[StoredDocument], str | None]:
    """Up to `limit` documents that match, in the order of ids, from behind the id `after`, fewer where their
    texts have more than `MOST_CHARACTERS`; and the id after which the next begin, None where these were the
    last.

    Raises:
        NotAllowed: the caller may not search this collection.
        FilterError: with the position in `filter`.
    """
    require(caller, "search", collection)
    rows = collection.documents(filter, after=after, batch=min(limit + 1, _LISTED_AT_ONCE))
    found: list[StoredDocument] = []
    length = 0
    for row in rows:
        if len(found) == limit or (found and length + _length(row) > MOST_CHARACTERS):
            return found, found[-1].id
        found.append(row)
        length += _length(row)
    return found, None


def read_bounded(collection: Collection, ids: Sequence[str]) -> Iterator[StoredDocument]:
    """Those of `ids` that are there, read a few at a time.

    Raises:
        BadInput: they are longer together than an answer may be.
    """
    length = 0
    for start in range(0, len(ids), _LISTED_AT_ONCE):
        for document in collection.get(ids[start : start + _LISTED_AT_ONCE]).values():
            length += _length(document)
            if length > len(document.text):  # one alone may be of any length
                check_length(length)
            yield document


def check_length(characters: int) -> None:
    """
    Raises:
        BadInput: an answer would have more `characters` of text than one may have.
    """
    if characters > MOST_CHARACTERS:
        raise BadInput(
            f"the texts of this answer have more than {MOST_CHARACTERS:,} characters together: ask for fewer"
            " documents at once, or for an answer without texts"
        )


def _length(document: StoredDocument) -> int:
    return len(document.text)


def delete_documents(
    caller: Caller,
    collection: Collection,
    ids: Iterable[str] | None = None,
    *,
    filter: Given | None = None,
    wait: float = WAIT_SECONDS,
) -> list[str]:
    """Delete documents by id or by filter; returns the ids of those that existed.

    Raises:
        NotAllowed: the caller may not write to this collection.
        FilterError, BadInput, LockedError: as `Collection.delete`; nothing was deleted.
    """
    require(caller, "write", collection)
    doomed = None if ids is None else list(ids)
    return patiently(lambda: collection.delete(doomed, filter=filter), wait)


def update_metadata(
    caller: Caller,
    collection: Collection,
    metadata: Mapping[str, Mapping[str, Any]],
    *,
    wait: float = WAIT_SECONDS,
) -> list[str]:
    """Replace the metadata of documents; returns the ids of those that exist.

    Raises:
        NotAllowed: the caller may not write to this collection.
        BadInput, LockedError: as `Collection.update_metadata`; nothing was changed.
    """
    require(caller, "write", collection)
    return patiently(lambda: collection.update_metadata(metadata), wait)


def patiently(change: Callable[[], T], seconds: float) -> T:
    """`change()`, again and again while another process writes.

    Raises:
        LockedError: it did for longer than `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return change()
        except LockedError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_LOOK_SECONDS)


class _BadLine(Exception):
    def __init__(self, id_: str | None, reason: str) -> None:
        super().__init__(reason)
        self.id = id_


def _count(report: UploadReport, added: AddReport, documents: Sequence[Document], numbers: list[int]) -> None:
    report.added += added.added
    report.updated += added.updated
    report.unchanged += added.unchanged
    for note in added.notes:
        if note not in report.notes:
            report.notes.append(note)
    for skip in added.skips:
        found = _NUMBER.fullmatch(skip.source)
        at = int(found[1]) if found else 0
        report.fail(numbers[at], documents[at].id, skip.reason)
    for at in added.denied_numbers:
        report.fail(numbers[at], documents[at].id, _DENIED)
    report.failed += added.skipped - len(added.skips) + added.denied - len(added.denied_numbers)


def _checked(vector: Any, dimension: int | None) -> list[float]:
    if dimension is None:
        return []
    numbers = vector if isinstance(vector, list) else []
    sound = all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers)
    if len(numbers) != dimension or not sound or not all(-_MOST < one < _MOST for one in numbers):
        raise BadInput(f"this collection has no model: give a 'vector' of {dimension} finite numbers")
    return numbers


def _kind(value: Any) -> str:
    kinds: dict[type, str] = {list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return kinds.get(type(value), "a number")
