"""How the fields of a row become a document: which is the id, the title, the text; all of them are searched.

The text is the first known text field that is filled, as it is. The other fields of text follow as lines,
`name: value`, so that a customer's name or an order number is found too: first what the row is about, then
its particulars, which cost the meaning of the text least (Cranfield with two fields more: NDCG@10 0.393
instead of 0.394). A row that has no known text field is such lines alone. Numbers are lines only where their
name says that they identify something (`order_id`, `phone`); the others, and booleans, are for filters.

An object called `metadata`, as BEIR and `stlib export` write it, is metadata and nothing else: those corpora
are embedded exactly as they are. All fields but the id, `title` and the text are metadata as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from indexing.documents.known_fields import (
    Fields,
    Plan,
    UnknownField,
    check_named,
    choose_fields,
    list_names,
)
from indexing.documents.marks import Mark
from indexing.documents.model import MAX_TITLE, Document
from indexing.documents.options import ReadOptions
from indexing.documents.storable import storable_text, storable_value
from indexing.documents.values import (
    id_of,
    identifies,
    is_vector,
    lines_of,
    plain_value,
    text_in_bytes,
    text_of,
    worth_a_line,
)

__all__ = [
    "Fields",
    "NoText",
    "Rows",
    "UnknownField",
    "check_named",
    "choose_fields",
    "flat_metadata",
    "list_names",
    "storable_document",
]

_MOST_LINES = 256
_MOST_MARKS = 50
_SHORT = 1000  # characters of a text that is found by its beginning
_SURELY_WORDS = 256
_LONG = 2**63
_new_mark = tuple.__new__  # of values that are known to be right, in half of the time
_SHAPES = 1000  # rows of ever new names must not fill the memory


class NoText(Exception):
    """The record has no text to search; the message is the reason."""


class Rows:
    """Turns the rows of one table into documents. `note` is told what had to be left out of the metadata,
    once or more; `what` is how it calls a field. Without `blanks` an empty text is no value, as in CSV. Ids
    of rows that have none are made of `place`, the name of their file, and their line.
    """

    def __init__(
        self,
        options: ReadOptions,
        note: Callable[[str], None],
        what: str = "field",
        *,
        blanks: bool = True,
        place: str = "",
    ) -> None:
        self._options = options
        self._note = note
        self._what = what
        self._blanks = blanks
        self._place = place
        self._shapes: dict[tuple[str, ...], Fields] = {}

    def fields(self, names: tuple[str, ...]) -> Fields:
        """The choice for rows of these names."""
        fields = self._shapes.get(names)
        if fields is None:
            fields = choose_fields(names, self._options)
            if not all(map(str.strip, names)):
                self._note(f"{self._what}s without a name were left out")
            if len(self._shapes) < _SHAPES:
                self._shapes[names] = fields
        return fields

    def document(self, row: Mapping[str, Any], fallback_id: str = "", line: int | None = None) -> Document:
        """The document of one row, which stands at `line` of its file; None among its values is none.

        A missing or unusable id becomes `fallback_id`, or place and line. A row with only a title is searched
        by it, and a title that is too long to be one stands before the text as well. Raises `NoText` if
        nothing in the row can be searched.
        """
        names = tuple(row)
        fields = self._shapes.get(names) or self.fields(names)
        text_field, text, title_field, title = None, "", None, ""
        if fields.texts:
            text_field = fields.texts[0]
            text = row[text_field]
            if type(text) is not str or not text or text.isspace():
                text_field, text = _first(row, fields.texts)
        if fields.titles:
            title_field = fields.titles[0]
            title = row[title_field]
            if type(title) is not str or not title or title.isspace():
                title_field, title = _first(row, fields.titles)
        plan = fields.plans.get((text_field, title_field)) or fields.plan(text_field, title_field)
        metadata: dict[str, Any] = {}
        lines: list[str] = []
        if plan:
            self._add_rest(row, plan, metadata, lines)
        if lines:
            alone = len(lines) == 1 and not text and sum(type(row[name]) is str for name, *_ in plan) == 1
            text = lines[0].partition(": ")[2] if alone else _joined(text, lines)
        elif fields.chosen:
            text = "\n\n".join(filled for name in fields.texts if (filled := text_of(row[name]).strip()))
        elif not fields.texts and not fields.titles:
            raise NoText(f"no {self._what} holds text; the {self._what}s are {list_names(tuple(row))}")
        key = row[fields.id] if fields.id is not None else None
        if type(key) is str:
            key = None if key.isspace() else key
        elif key is not None:
            key = self._id(fields.id, key)
        key = key or fallback_id or (f"{self._place}#{line}" if self._place else "")
        return _make_document(key, title, text, metadata, line)

    def _add_rest(
        self, row: Mapping[str, Any], plan: Plan, metadata: dict[str, Any], lines: list[str]
    ) -> None:
        """The fields beside id, title and text: what metadata keeps of them, the lines that are searched."""
        for name, begins, identifier in plan:
            value = row[name]
            kind = type(value)
            if kind is str:
                if value:
                    metadata[name] = value
                    if (
                        begins
                        and (len(value) <= _SURELY_WORDS or worth_a_line(value))
                        and not value.isspace()
                    ):
                        lines.append(begins + value)
                elif self._blanks:
                    metadata[name] = value
            elif value is None or (kind is dict and not value and name == "metadata"):
                continue
            elif kind is bool or (kind is float and value - value == 0):  # finite
                metadata[name] = value
            elif kind is int and -_LONG < value < _LONG:
                metadata[name] = value
                if identifier and begins:
                    lines.append(f"{begins}{value}")
            else:
                self._add_other(name, value, begins, metadata, lines)

    def _id(self, name: str | None, value: Any) -> str | None:
        key = id_of(value)
        if key is None and value == value:  # NaN is no value
            self._note(
                f"{self._what} {name!r} is not the id where it holds something else than text or a number: "
                "there the place in the file is"
            )
        return key

    def _add_other(
        self, name: str, value: Any, begins: str, metadata: dict[str, Any], lines: list[str]
    ) -> None:
        """A value that is neither None, text, a boolean nor a number of usual size."""
        if name == "metadata" and isinstance(value, Mapping):
            for refused in flat_metadata(value, tuple(value), metadata, keep_none=True):
                self._note(f"{self._what} {refused}")
            return
        value = plain_value(value)
        if isinstance(value, bytes) and (text := text_in_bytes(value)) is not None:
            value = text
        if is_vector(value):
            self._note(f"{self._what} {name!r} was left out of the metadata where it holds a vector")
            return
        for refused in flat_metadata({name: value}, (name,), metadata):
            self._note(f"{self._what} {refused}")
        if begins and name in metadata:
            lines.extend(lines_of(name, metadata[name], identifies(name)))


def _make_document(key: str, title: str, text: str, metadata: dict[str, Any], line: int | None) -> Document:
    if not text or text.isspace():
        text, title = title, ""
        if not text:
            raise NoText("no text in it")
    elif len(title) > MAX_TITLE:
        text = f"{title}\n\n{text}"
    marks: tuple[Mark, ...] = ()
    if line is not None:
        marks = (_new_mark(Mark, (0, "line", line, 0)),) if len(text) < _SHORT else _line_marks(text, line)
    return Document(key, text, title, metadata, "", marks)


def _line_marks(text: str, line: int) -> tuple[Mark, ...]:
    """All lines of the text are from one line of the file."""
    starts = [0]
    while len(starts) < _MOST_MARKS and (end := text.find("\n", starts[-1])) >= 0:
        starts.append(end + 1)
    return tuple(Mark(start, "line", line) for start in starts)


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str | None, str]:
    """The first of these fields that is filled, and its text; the first of all if none is."""
    for name in names:
        value = row[name]
        text = value if type(value) is str else text_of(value)
        if text and not text.isspace():
            return name, text
    return names[0], ""


def _joined(text: str, lines: list[str]) -> str:
    particulars = "\n".join(lines[:_MOST_LINES])
    return f"{text}\n\n{particulars}" if text else particulars


def flat_metadata(
    row: Mapping[str, Any], names: Sequence[str], into: dict[str, Any], *, keep_none: bool = False
) -> list[str]:
    """Copy what metadata can hold of the values into `into`; says what was left out of each.

    None is a field that a row lacks, and is only kept if `keep_none`.
    """
    refused = []
    for name in names:
        value = row[name]
        kind = type(value)
        if not isinstance(name, str) or not name.strip():
            refused.append("without a name was left out of the metadata")
        elif kind is str or kind is bool:
            into[name] = value
        elif value is not None or keep_none:
            lost: list[str] = []
            ok, stored = storable_value(value, lost)
            if ok and (stored is not None or keep_none):
                into[name] = stored
            refused += [f"{name!r} was left out of the metadata where it holds {what}" for what in set(lost)]
    return refused


def storable_document(document: Document) -> Document:
    """The document without characters a UTF-8 column refuses; only called where a batch holds some."""
    metadata = {storable_text(name): storable_value(value)[1] for name, value in document.metadata.items()}
    id_, text, title = map(storable_text, (document.id, document.text, document.title))
    return Document(id_, text, title, metadata, marks=document.marks)
