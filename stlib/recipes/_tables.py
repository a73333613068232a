"""Tables of text: which character separates their cells, and whether they quote as CSV does."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from stlib.errors import InvalidInput

# A cell of a table that is consistently quoted, and what follows it. A cell that is not quoted has no
# quotation mark.
_CELL = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^"\t\r\n]*))(\t|\r\n|\n|\r|\Z)')
_NUMBER = re.compile(r"\s*[-+]?[\d.,]*(?:[eE][-+]?\d+)?\s*")


def read_table(text: str, path: Path, kind: str, numbered: bool) -> list[dict[str, str]]:
    """Rows by column name.

    Args:
        text: what the file holds.
        path: of the file, for messages.
        kind: ``".tsv"``, whose cells are separated by tabs, or ``".csv"``, where commas are usual.
        numbered: there is no line of names; columns are called ``"0"``, ``"1"`` and so on.

    Raises:
        InvalidInput: a row has more cells than there are names, or quotation marks that do not close.
    """
    tabs = kind == ".tsv" or _has_tabs(text)
    # Tables with tabs often hold quotation marks as part of the text, see is_quoted.
    raw = tabs and not is_quoted(text)
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter="\t" if tabs else ",",
        quoting=csv.QUOTE_NONE if raw else csv.QUOTE_MINIMAL,
        strict=True,
    )
    rows: list[dict[str, str]] = []
    names: list[str] | None = None
    for line, cells in _number_lines(reader, path):
        if numbered:
            rows.append({str(i): value for i, value in enumerate(cells)})
        elif names is None:
            names = cells
        elif len(cells) > len(names):
            raise InvalidInput(
                f"line {line} of {path} has {len(cells)} cells, but the first line names {len(names)} "
                f"columns; put a text that holds a {'tab' if tabs else 'comma'} between quotation marks"
            )
        else:
            rows.append(dict(zip(names, cells, strict=False)))
    return rows


def _number_lines(reader: Iterator[list[str]], path: Path) -> Iterator[tuple[int, list[str]]]:
    """The line where a row begins, and its cells."""
    begins = 1
    try:
        for cells in reader:
            if cells:
                yield begins, cells
            begins = reader.line_num + 1  # type: ignore[attr-defined]
    except csv.Error as error:
        raise InvalidInput(
            f"the row at line {begins} of {path} cannot be read: {error}; a quotation mark inside of a "
            "quoted text is written twice"
        ) from error


def _has_tabs(text: str) -> bool:
    """Whether a ``.csv`` file separates by tabs, as those of the STS benchmark do: its first line has some,
    and no comma, or every line has a tab."""
    first, _, _ = text.partition("\n")
    if "\t" not in first:
        return False
    return "," not in first or all("\t" in line for line in text.split("\n") if line.strip())


def is_quoted(text: str) -> bool:
    """Whether a table with tabs is quoted as CSV is, rather than holding quotation marks as they are.

    It is if every quotation mark is in its place (around a cell, or doubled within one), and one cell or
    more could not be written otherwise: it holds a quotation mark, a tab or an end of line. Or if all its
    texts are quoted. Two marks of a raw table that enclose several lines by chance do not count.
    """
    if '"' not in text:
        return False
    rows = _split_quoted(text)
    if rows is None:
        return False
    quoted = [inner for row in rows for inner, _ in row if inner is not None]
    if not any(mark in inner for inner in quoted for mark in ('""', "\t", "\n", "\r")):
        body = rows[1:] or rows
        return all(inner is not None or _NUMBER.fullmatch(plain) for row in body for inner, plain in row)
    by_chance = any("\t" in inner and "\n" in inner for inner in quoted)
    return not by_chance or (_uniform(map(len, rows)) and not _uniform(_tabs_of_lines(text)))


def _split_quoted(text: str) -> list[list[tuple[str | None, str]]] | None:
    """For each cell what is between its quotation marks, or None, and its text without any; no rows at all
    if a quotation mark is out of place."""
    rows: list[list[tuple[str | None, str]]] = [[]]
    place = 0
    while place < len(text):
        cell = _CELL.match(text, place)
        if cell is None:
            return None
        rows[-1].append((cell[1], cell[2] or ""))
        place = cell.end()
        if cell[3] != "\t":
            rows.append([])
    return [row for row in rows if row and row != [(None, "")]]


def _tabs_of_lines(text: str) -> Iterator[int]:
    return (line.count("\t") for line in text.split("\n") if line.strip())


def _uniform(numbers: Iterator[int]) -> bool:
    return len(set(numbers)) <= 1
