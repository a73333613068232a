"""Spreadsheets (XLSX, XLSM, XLSB, XLS, ODS): a row of a table is a document, and so is what is no table.

Excel's files go through calamine, ODS through `ods_rows.py`; `sheet_regions.py` finds the tables. Formulas
give the value that was computed last, dates are ISO 8601, hidden sheets are read like the others. README.md
here says why these.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import accumulate, islice
from typing import Any

import python_calamine

from indexing.documents.fields import NoText, Rows, flat_metadata
from indexing.documents.formats import delimited, html
from indexing.documents.formats.bounded import open_seekable, open_zip, read_bounded
from indexing.documents.formats.ods_rows import read_ods
from indexing.documents.formats.odt import check_encryption
from indexing.documents.formats.office_xml import Package, open_package
from indexing.documents.formats.sheet_regions import Region, Row, Sheet, TableRow, cell_text, split_sheet
from indexing.documents.formats.xlsx_parts import check_members, parts_of_sheets, read_comments, too_large
from indexing.documents.marks import Mark
from indexing.documents.model import Document, Item, Skipped
from indexing.documents.source import SourceFile, Unreadable
from indexing.documents.unpack import unpacked_name

__all__ = ["read"]

_MOST_LINES, _MOST_MARKS, _SHORT = 1000, 50, 1000  # of a row
_SNIFFED = 4096
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_MARKUP = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|meta|style|table|body|div)\b", re.IGNORECASE
)
_ENCRYPTED = "is encrypted: it needs a password; save a copy without one"


def read(file: SourceFile) -> Iterator[Item]:
    if file.size == 0:
        raise Unreadable("no text in it")
    if (other := _in_disguise(file)) is not None:
        yield from other
        return
    found = False
    ids: dict[str, str] = {}  # the sheet of each row that has an id of its own
    for entry in _sheets(file):
        if isinstance(entry, Skipped):
            yield entry
            continue
        for item in _documents(file, entry, ids):
            found = found or isinstance(item, Document)
            yield item
    file.bytes_read = file.size
    if not found:
        raise Unreadable("no text in it")


def _in_disguise(file: SourceFile) -> Iterator[Item] | None:
    """The items of a web page or of text with tabs, which many programs call .xls as Excel opens them too."""
    with file.open() as stream:
        head = stream.peek(_SNIFFED)[:_SNIFFED]
    if not unpacked_name(file.path).lower().endswith(".xls") or head.startswith((_ZIP, _OLE)):
        return None
    if _MARKUP.match(head):
        return html.read(file)
    if b"\x00" not in head and b"\t" in head.partition(b"\n")[0]:
        return delimited.read(file)
    return None


def _sheets(file: SourceFile) -> Iterator[Sheet | Skipped]:
    if unpacked_name(file.path).lower().endswith(".fods"):
        with file.open() as stream:
            yield from read_ods(read_bounded(stream))
        return
    if unpacked_name(file.path).lower().endswith((".ods", ".ots")):
        with open_package(file) as package:
            check_encryption(package)
            yield from read_ods(package.read("content.xml") or b"")
        return
    with open_seekable(file) as stream:
        is_zip = stream.read(len(_ZIP)) == _ZIP
        stream.seek(0)
        if not is_zip:
            yield from _calamine(stream, file, None, {}, frozenset())
            return
        with open_zip(stream, file.size) as container:
            check_members(container)
            package = Package(container, file)
            parts = {} if package.has("xl/workbook.bin") else parts_of_sheets(package)
            large = frozenset(name for name, part in parts.items() if too_large(package, part))
            reason = "has a cell too far from the others; delete what is in it, or save as CSV"
            for name in sorted(large):
                yield Skipped(file.source, None, f"sheet {name!r} {reason}")
            yield from _calamine(stream, file, package, parts, large)


def _calamine(
    stream: Any, file: SourceFile, package: Package | None, parts: dict[str, str], large: frozenset[str]
) -> Iterator[Sheet | Skipped]:
    """The worksheets but those that are `large`, which must not even be opened."""
    stream.seek(0)
    try:
        workbook = python_calamine.CalamineWorkbook.from_filelike(stream)
    except python_calamine.PasswordError:
        raise Unreadable(_ENCRYPTED) from None
    except python_calamine.CalamineError as error:
        if "password" in str(error).lower():
            raise Unreadable(_ENCRYPTED) from error
        raise Unreadable(
            "is not a spreadsheet that can be read: it is damaged, cut off or something else"
        ) from error
    worksheets = [
        entry.name
        for entry in workbook.sheets_metadata
        if entry.typ == python_calamine.SheetTypeEnum.WorkSheet and entry.name not in large
    ]
    for name in worksheets:
        try:
            sheet = workbook.get_sheet_by_name(name)
        except python_calamine.CalamineError as error:
            yield Skipped(file.source, None, f"sheet {name!r} cannot be read: {error}")
            continue
        comments = read_comments(package, parts[name]) if package is not None and name in parts else {}
        yield Sheet(name, _rows(sheet), comments)


def _rows(sheet: Any) -> Iterator[Row]:
    """Rows with a value that was merged over several of them in each; columns counted from A on."""
    left = [None] * (sheet.start[1] if sheet.start else 0)
    merged = _Merged(sheet.merged_cell_ranges or ())
    for number, raw in enumerate(sheet.iter_rows(), start=1):
        cells = left + [_value(cell) for cell in raw]
        merged.fill(number - 1, cells)
        yield number, cells


class _Merged:
    """Cells that span rows. Only a row that holds something else gets the value too."""

    def __init__(self, ranges: Iterable[tuple[tuple[int, int], tuple[int, int]]]) -> None:
        self._coming = sorted((r for r in ranges if r[1][0] > r[0][0]), reverse=True)
        self._open: list[tuple[int, int, Any]] = []  # last row, column, value

    def fill(self, row: int, cells: list[Any]) -> None:
        if not self._coming and not self._open:
            return
        self._open = [entry for entry in self._open if entry[0] >= row]
        if any(cell is not None for cell in cells):
            for _, column, value in self._open:
                if column < len(cells) and cells[column] is None:
                    cells[column] = value
        while self._coming and self._coming[-1][0][0] <= row:
            (first, column), (last, _) = self._coming.pop()
            if first == row and column < len(cells) and cells[column] is not None:
                self._open.append((last, column, cells[column]))


def _value(cell: Any) -> Any:
    if isinstance(cell, str):
        return cell.strip() or None
    if isinstance(cell, float):
        return int(cell) if cell.is_integer() and abs(cell) < 2**53 else cell
    if isinstance(cell, datetime.datetime) and cell.time() == datetime.time():
        return cell.date()
    if isinstance(cell, datetime.timedelta):
        seconds = int(cell.total_seconds())
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    if isinstance(cell, datetime.time):
        return cell.isoformat()
    return cell


def _documents(file: SourceFile, sheet: Sheet, ids: dict[str, str]) -> Iterator[Item]:
    rows = Rows(file.options, file.note, "column", blanks=False)
    for part in split_sheet(sheet.rows):
        if isinstance(part, TableRow):
            yield _with_own_id(file, _of_row(file, rows, sheet, part), sheet, part, ids)
        elif any(part.lines):
            yield _of_region(file, sheet, part)


def _with_own_id(file: SourceFile, item: Item, sheet: Sheet, row: TableRow, ids: dict[str, str]) -> Item:
    """Rows of two sheets with the same id are two documents, the second one called by its place."""
    if isinstance(item, Skipped):
        return item
    place = f"{file.name}#{sheet.name}!{row.number}"
    if item.id != place and ids.setdefault(item.id, sheet.name) != sheet.name:
        file.note("has sheets with the same ids: in the later ones the place of a row is its id")
        return replace(item, id=place)
    return item


def _of_row(file: SourceFile, rows: Rows, sheet: Sheet, row: TableRow) -> Item:
    id_ = f"{file.name}#{sheet.name}!{row.number}"
    filled = {name: value for name, value in row.values.items() if value is not None}
    fields = rows.fields(tuple(row.values))
    try:
        document = rows.document(row.values, id_, row.number)
    except NoText as error:
        if fields.chosen and fields.texts:
            return Skipped(file.source, row.number, f"sheet {sheet.name!r}: {error}")
        # Numbers, dates or booleans alone.
        metadata: dict[str, Any] = {}
        flat_metadata(filled, tuple(filled), metadata)
        document = Document(id_, _as_lines(filled), "", metadata)
    if not fields.texts and not fields.chosen:
        # What a person remembers of a sheet is as often a number; its rows are short.
        text = _as_lines(filled)
        document = replace(document, text=text, marks=_row_marks(text, row.number))
    return _placed(document, sheet, sheet.comments.pop(row.number, []))


def _as_lines(values: dict[str, Any]) -> str:
    lines = islice(values.items(), _MOST_LINES)
    return "\n".join(f"{name}: {' '.join(cell_text(value).split())}" for name, value in lines)


def _row_marks(text: str, number: int) -> tuple[Mark, ...]:
    """All lines of the text are of one row; a short one is a single passage and found by its beginning."""
    lines = text.split("\n")[:_MOST_MARKS] if len(text) > _SHORT else [text]
    starts = accumulate((len(line) + 1 for line in lines[:-1]), initial=0)
    return tuple(Mark(start, "line", number) for start in starts)


def _of_region(file: SourceFile, sheet: Sheet, region: Region) -> Document:
    last = region.first + len(region.lines) - 1
    said = [text for number in range(region.first, last + 1) for text in sheet.comments.pop(number, ())]
    id_ = f"{file.name}#{sheet.name}!{region.first}" + (f"-{last}" if last > region.first else "")
    document = Document(id_, "\n".join(region.lines), marks=(Mark(0, "line", region.first),))
    return _placed(document, sheet, said)


def _placed(document: Document, sheet: Sheet, comments: list[str]) -> Document:
    """With the name of its sheet as heading and field, and with the comments on its cells."""
    text = "\n\n".join([document.text, *(f"Comment: {comment}" for comment in comments)])
    marks = (Mark(0, "heading", sheet.name, 1), *document.marks)
    metadata = {"sheet": sheet.name, **document.metadata}
    return replace(document, text=text, metadata=metadata, marks=marks)
