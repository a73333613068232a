"""What is looked at in an Excel file before a library reads it: how large it gets, and the comments in it."""

from __future__ import annotations

import re
import zipfile
from typing import Any

from indexing.documents.formats.office_xml import Package, attribute, local_name, plain_text
from indexing.documents.source import Unreadable

__all__ = ["check_members", "parts_of_sheets", "read_comments", "too_large"]

MOST_CELLS = 50_000_000
"""Of one sheet, from A1 to its last cell: the library keeps 32 bytes for each, filled or not."""
_PIECE = 2**20
_OVERLAP = 64
_ROW = re.compile(rb'<(?:\w+:)?row [^>]{0,80}?\br="(\d{1,7})"')
_WIDE = re.compile(rb' r="([A-Z]{2,3})\d')
_WIDTH_OF_TWO_LETTERS = 26 + 26 * 26


def check_members(container: zipfile.ZipFile) -> None:
    """Read every member to its end, so that one which is larger than it says is found before a library that
    does not ask meets it. Raises `Unreadable`."""
    for member in container.infolist():
        try:
            with container.open(member) as stream:
                while stream.read(_PIECE):
                    continue
        except (
            zipfile.BadZipFile,
            EOFError,
            NotImplementedError,
            RuntimeError,
            OSError,
            ValueError,
        ) as error:
            raise Unreadable(f"{member.filename} cannot be unpacked: {error}") from error


def parts_of_sheets(package: Package) -> dict[str, str]:
    """The part with each worksheet, by the name of the sheet."""
    main = package.main_part("xl/workbook.xml")
    links = package.relations(main)
    root = package.xml(main)
    found = {}
    for element in root.iter() if root is not None else ():
        if local_name(element) == "sheet":
            link = links.get(next((value for key, value in element.items() if key.endswith("}id")), ""))
            if link is not None and link.kind == "worksheet":
                found[attribute(element, "name")] = link.target
    return found


def too_large(package: Package, part: str) -> bool:
    """Whether a sheet reaches so far that reading it would fill the memory: a stray cell does that."""
    data = package.read(part) or b""
    rows = [int(number) for number in _ROW.findall(data[-_PIECE:])] or [1]
    last_row = max(rows)
    if last_row * 26 <= MOST_CELLS and last_row * _WIDTH_OF_TWO_LETTERS <= MOST_CELLS:
        widest = 16_384 if re.search(rb' r="[A-Z]{3}\d', data) else _WIDTH_OF_TWO_LETTERS
        if last_row * widest <= MOST_CELLS:
            return False
    letters = max(_WIDE.findall(data), key=lambda found: (len(found), found), default=b"Z")
    return last_row * _width(letters) > MOST_CELLS


def _width(letters: bytes) -> int:
    width = 0
    for letter in letters:
        width = width * 26 + letter - ord("A") + 1
    return width


def read_comments(package: Package, part: str) -> dict[int, list[str]]:
    """The comments on the cells of a sheet, by the number of the row."""
    comments: dict[int, list[str]] = {}
    for relation in package.relations(part).values():
        if relation.kind == "comments":
            root = package.xml(relation.target)
            for comment in root.iter() if root is not None else ():
                if local_name(comment) == "comment":
                    _add_comment(comment, comments)
    return comments


def _add_comment(comment: Any, comments: dict[int, list[str]]) -> None:
    digits = attribute(comment, "ref").lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ$")
    text = " ".join(plain_text(comment, paragraph="text").split())
    if text and digits.isascii() and digits.isdigit() and len(digits) < 8:
        comments.setdefault(int(digits), []).append(text)
