"""What a reader hands on: a document, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from indexing.documents.marks import Mark
from indexing.documents.storable import MAX_BITS, MetadataValue, storable_text, storable_value
from indexing.errors import BadInput

__all__ = [
    "MAX_TITLE",
    "NO_READER",
    "NO_TEXT",
    "Document",
    "Item",
    "MetadataValue",
    "Skipped",
    "bounded_title",
    "check_ids",
    "storable_text",
]

NO_READER = "its name does not say what it is, and it is not text"
"""Why a file without an extension was not read; it is counted like those of a kind that has no reader."""
NO_TEXT = "no text in it"
"""Why nothing came of a file that is not broken."""

MAX_TITLE = 300
"""Characters of a title: it is put before each passage, so a long one would multiply."""
_FIELDS = ("id", "text", "title", "metadata")


@dataclass(frozen=True, slots=True)
class Document:
    """One searchable thing. `id` is unique in its collection; `text` is never blank.

    Metadata values are str, int, float, bool, None, and lists and dicts of these; dates are given as such and
    kept as ISO 8601 text, see `storable_value`. `origin` is
    the absolute path of the file where the id is the path below a root (`/docs/guide.md`, `/docs/a.csv#12`);
    empty where the id is somebody's own. `marks` say where pages, lines and headings begin in the text;
    `file_id` is the catalog's number of the file.
    A title of more than `MAX_TITLE` characters is cut.
    """

    id: str
    text: str
    title: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    origin: str = field(default="", compare=False, repr=False)
    marks: tuple[Mark, ...] = field(default=(), compare=False, repr=False)
    file_id: int | None = field(default=None, compare=False, repr=False)

    @classmethod
    def from_any(cls, obj: Document | Mapping[str, Any]) -> Document:
        """Check a document that a caller built, `{"id", "text", "title"?, "metadata"?}`.

        A document with a title and no text is searched by its title. Raises `BadInput` with the reason.
        """
        origin: str = ""
        marks: tuple[Mark, ...] = ()
        file_id: int | None = None
        if isinstance(obj, Document):
            origin, marks, file_id = obj.origin, obj.marks, obj.file_id
            obj = {"id": obj.id, "text": obj.text, "title": obj.title, "metadata": obj.metadata}
        if not isinstance(obj, Mapping):
            raise BadInput(f"a document is a dict with 'id' and 'text', got {type(obj).__name__}")
        key = _checked_id(obj)
        unknown = [str(name) for name in obj if name not in _FIELDS]
        if unknown:
            raise BadInput(
                f"document {key!r} has unknown fields {', '.join(sorted(unknown))}; "
                f"allowed are {', '.join(_FIELDS)}: put the others into 'metadata'"
            )
        text, title = _checked_string(obj, "text", key), _checked_string(obj, "title", key)
        if not text.strip():
            text, title = title, ""
        if not text.strip():
            raise BadInput(f"document {key!r} is empty: it needs a 'text' (or a 'title') that is not blank")
        metadata = _checked_metadata(obj.get("metadata"), key)
        return cls(key, text, bounded_title(title), metadata, origin, marks, file_id)


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was not read: `source` as the person named it, `line` from 1 (None: the whole file)."""

    source: str
    line: int | None
    reason: str

    def __str__(self) -> str:
        where = self.source if self.line is None else f"{self.source}, line {self.line}"
        return f"{where}: {self.reason}"


Item: TypeAlias = "Document | Skipped"


def bounded_title(title: str) -> str:
    """`title`, cut between two words with an ellipsis where it is longer than `MAX_TITLE` characters."""
    if len(title) <= MAX_TITLE:
        return title
    cut = title[: MAX_TITLE - 2]
    return (cut.rsplit(None, 1)[0] if any(map(str.isspace, cut[MAX_TITLE // 2 :])) else cut) + " …"


def check_ids(ids: Any, *, numbers: bool = False) -> list[str]:
    """Ids that a person asks for: those of them that a document can have; `numbers` stand for their digits.

    Raises:
        BadInput: one that is no string, or nothing to go through.
    """
    if isinstance(ids, str):
        ids = [ids]
    if not isinstance(ids, Iterable):
        raise BadInput(f"ids are strings, got {type(ids).__name__}: give a list of them")
    asked = []
    for id_ in ids:
        if numbers and isinstance(id_, int) and not isinstance(id_, bool) and id_.bit_length() <= MAX_BITS:
            id_ = str(id_)
        if not isinstance(id_, str):
            raise BadInput(f"ids are strings, got {type(id_).__name__} for one of them")
        asked.append(id_)
    return [id_ for id_ in asked if storable_text(id_) == id_]


def _checked_id(obj: Mapping[str, Any]) -> str:
    key = obj.get("id")
    if isinstance(key, int) and not isinstance(key, bool):
        if key.bit_length() > MAX_BITS:
            raise BadInput("a document needs an 'id', got an integer of more than 308 digits")
        key = str(key)
    if not isinstance(key, str) or not key.strip():
        raise BadInput(f"a document needs an 'id', a string that is not blank (or an integer), got {key!r}")
    if storable_text(key) != key:
        raise BadInput(f"document id {key!r} holds NUL or half a surrogate pair; use valid Unicode text")
    return key


def _checked_string(obj: Mapping[str, Any], name: str, key: str) -> str:
    value = obj.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadInput(f"document {key!r}: '{name}' is {type(value).__name__}, a string is needed")
    return storable_text(value)


def _checked_metadata(metadata: Any, key: str) -> dict[str, Any]:
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise BadInput(f"document {key!r}: 'metadata' is {type(metadata).__name__}, a dict is needed")
    checked: dict[str, Any] = {}
    for name, value in metadata.items():
        if not isinstance(name, str) or not name.strip():
            raise BadInput(f"document {key!r}: metadata names are strings that are not blank, got {name!r}")
        ok, stored = storable_value(value)
        if not ok:
            raise BadInput(
                f"document {key!r}: metadata {name!r} {_describe(value)}; "
                "allowed are str, finite numbers, bool, None, dates, and lists and dicts of these"
            )
        checked[storable_text(name)] = stored
    return checked


def _describe(value: Any) -> str:
    if isinstance(value, float):
        return f"is {value!r}"
    if isinstance(value, int):
        return "is an integer of more than 308 digits"
    lost: list[str] = []
    storable_value(value, lost)
    inside = isinstance(value, (list, tuple, Mapping)) and lost
    return f"holds {lost[0]}" if inside else f"is {type(value).__name__}"
