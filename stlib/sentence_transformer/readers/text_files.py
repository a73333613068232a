"""Lines and columns of UTF-8 text files, packed with gzip or not."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import IO, Any, TypeVar

from stlib.errors import InvalidInput

T = TypeVar("T")


def open_text(path: str | PathLike[str]) -> IO[str]:
    """Open a file of UTF-8 text; one whose name ends in ``.gz`` is unpacked on the way."""
    if Path(path).suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return Path(path).open(encoding="utf-8")


def rows_of_csv(path: str | PathLike[str], delimiter: str, quoting: Any) -> Iterator[list[str]]:
    """The rows of a file with columns."""
    with open_text(path) as file:
        yield from csv.reader(file, delimiter=delimiter, quoting=quoting)


def column(row: Sequence[str], index: int, path: str | PathLike[str], number: int) -> str:
    """Column ``index`` of the row ``number`` (from 0).

    Raises:
        InvalidInput: the row has fewer columns.
    """
    try:
        return row[index]
    except IndexError:
        raise InvalidInput(
            f"{path}, row {number + 1}: column {index} is missing, the row has {len(row)}; check the file, "
            "its delimiter and the column numbers"
        ) from None


def parse_field(value: str, parse: Callable[[str], T], path: str | PathLike[str], number: int) -> T:
    """``parse(value)``, a failure naming the file and the row (from 0).

    Raises:
        InvalidInput: the value cannot be parsed.
    """
    try:
        return parse(value)
    except (ValueError, KeyError):
        raise InvalidInput(f"{path}, row {number + 1}: {value!r} is no {parse.__name__}") from None
