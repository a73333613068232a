"""The sheets of an OpenDocument spreadsheet, row by row, from its XML as a stream.

Written here because the two libraries that are fast give up on files that older programs wrote, and run out
of memory where a cell is said to be repeated a million times. Such repetitions end at a bound here.
"""

from __future__ import annotations

import datetime
import io
import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from indexing.documents.formats.office_xml import attribute, local_name
from indexing.documents.formats.sheet_regions import Cells, Row, Sheet

__all__ = ["read_ods"]

# A filled cell or row that is repeated says nothing new; Excel's sheets have 16,384 columns.
_MOST_REPEATED_ROWS, _MOST_COLUMNS = 1000, 16_384
_DURATION = re.compile(r"PT(\d{1,9})H(\d{1,2})M(\d{1,2})(?:[.,]\d+)?S")
_INLINE = ("s", "tab", "line-break")


def read_ods(data: bytes) -> Iterator[Sheet]:
    """The sheets in their order; the rows of one are to be taken before the next one is asked for."""
    events = etree.iterparse(
        io.BytesIO(data),
        events=("start", "end"),
        tag=("{*}table", "{*}table-row"),
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        recover=True,
        remove_comments=True,
    )
    sheets = _Sheets(events)
    while (name := sheets.next_name()) is not None:
        yield Sheet(name, sheets.rows(), sheets.comments)
        sheets.skip()


class _Sheets:
    def __init__(self, events: Any) -> None:
        self._events = events
        self._depth = 0  # of tables: a cell may hold one
        self.comments: dict[int, list[str]] = {}

    def next_name(self) -> str | None:
        for event, element in self._events:
            if event == "start" and local_name(element) == "table":
                self._depth = 1
                self.comments = {}
                return attribute(element, "name")
        return None

    def skip(self) -> None:
        for _ in self.rows():
            continue

    def rows(self) -> Iterator[Row]:
        """The rows up to the end of the sheet."""
        number = 1
        for event, element in self._events if self._depth else ():
            name = local_name(element)
            if name == "table":
                self._depth += 1 if event == "start" else -1
                if self._depth == 0:
                    element.clear()
                    return
            elif event == "end" and name == "table-row" and self._depth == 1:
                repeated = _number(attribute(element, "number-rows-repeated"))
                cells = _cells(element)
                if comments := _comments(element):
                    self.comments[number] = comments
                for offset in range(min(repeated, _MOST_REPEATED_ROWS) if cells else 0):
                    yield number + offset, cells
                if not cells:
                    yield number, []
                number += repeated
                _forget(element)
        self._depth = 0


def _forget(element: Any) -> None:
    """Let go of a row that was read, and of those before it."""
    element.clear()
    while element.getprevious() is not None:
        del element.getparent()[0]


def _cells(row: Any) -> Cells:
    """The values of a row without blank ones at its end."""
    cells: Cells = []
    blanks = 0
    for cell in row:
        name = local_name(cell)
        if name not in ("table-cell", "covered-table-cell"):
            continue
        repeated = min(_number(attribute(cell, "number-columns-repeated")), _MOST_COLUMNS)
        value = _value(cell) if name == "table-cell" else None
        if value is None:
            blanks += repeated
        elif len(cells) + blanks + repeated <= _MOST_COLUMNS:
            cells += [None] * blanks + [value] * repeated
            blanks = 0
    return cells


def _value(cell: Any) -> Any:
    """What a cell holds: of a formula the value that was computed last."""
    kind = attribute(cell, "value-type")
    try:
        if kind in ("float", "currency", "percentage"):
            number = float(attribute(cell, "value"))
            return int(number) if number.is_integer() and abs(number) < 2**53 else number
        if kind == "date":
            return _date(attribute(cell, "date-value"))
        if kind == "time" and (found := _DURATION.fullmatch(attribute(cell, "time-value"))):
            return f"{int(found[1]):02d}:{int(found[2]):02d}:{int(found[3]):02d}"
        if kind == "boolean":
            return attribute(cell, "boolean-value") == "true"
    except ValueError:  # a number or date that is none: then what is shown
        return _text(cell)
    return _text(cell)


def _date(text: str) -> datetime.date:
    moment = datetime.datetime.fromisoformat(text[:26].rstrip("Z"))
    return moment.date() if moment.time() == datetime.time() else moment


def _text(cell: Any) -> str | None:
    """The paragraphs of a cell, a line each."""
    return "\n".join(_inline(part) for part in cell if local_name(part) == "p").strip() or None


def _comments(row: Any) -> list[str]:
    notes = (part for cell in row for part in cell if local_name(part) == "annotation")
    texts = (" ".join(_inline(part) for part in note if local_name(part) == "p") for note in notes)
    return [text for text in texts if text.strip()]


def _inline(paragraph: Any) -> str:
    parts = []
    for event, element in etree.iterwalk(paragraph, events=("start", "end")):
        if event == "start":
            parts.append(" " if local_name(element) in _INLINE else element.text or "")
        elif element is not paragraph:
            parts.append(element.tail or "")
    return "".join(parts).replace("\n", " ")


def _number(text: str) -> int:
    return max(int(text), 1) if text.isascii() and text.isdigit() and len(text) < 10 else 1
