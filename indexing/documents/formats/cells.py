"""What the columns of a table of text hold: numbers, booleans or text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

__all__ = ["Kind", "convert_cell", "kind_of", "written_as_floats"]

# Numbers as a program writes them. "007", "1,5" or "1e5" stay text: they may be codes, and a code that
# turned into a number cannot be turned back.
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,17})(?:\.\d+)?")
# What programs write where a column of numbers has none; a filter cannot compare with them.
_NO_NUMBERS = ("nan", "-nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity")
# What people and programs write where there is no value.
_MISSING = frozenset(
    (
        "n/a",
        "#n/a",
        "na",
        "n.a.",
        "null",
        "none",
        "nil",
        "-",
        "--",
        "–",
        "—",
        "?",
        ".",
        "unknown",
        "missing",
        "\\n",
    )
)
_STRAY_SHARE = 0.1
_WHOLE_FLOAT = re.compile(r"-?(?:0|[1-9]\d*)\.0")

# Numbers as they are written where a comma stands before the decimals and points group thousands.
_COMMA_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,2}(?:\.\d{3})+|[1-9]\d{0,17})(?:,\d+)?")

Kind: TypeAlias = Literal["text", "number", "comma number", "boolean"]


def kind_of(cells: Sequence[str], *, decimal_comma: bool = False) -> Kind:
    """What a column holds. One bad cell does not make numbers text: up to a tenth of the cells, and any
    number of marks for a missing value (`n/a`, `-`), may be something else; they stay as they are. A digit in
    one of those does: with one "01067" the column holds postal codes.

    With `decimal_comma`, as in tables that semicolons separate, one `2,50` tells that all numbers of the
    column are written so.
    """
    if decimal_comma and any("," in cell and _COMMA_NUMBER.fullmatch(cell) for cell in cells):
        plain = [_point_for_comma(cell) if _COMMA_NUMBER.fullmatch(cell) else cell for cell in cells]
        mixed = any("." in cell and cell == written for cell, written in zip(cells, plain, strict=True))
        return "comma number" if not mixed and kind_of(plain) == "number" else "text"
    counts: Counter[str] = Counter()
    stray = 0
    for cell in cells:
        if not cell:
            continue
        kind = _kind_of_cell(cell)
        if kind == "text" and cell.lower() not in _MISSING:
            if any(map(str.isdecimal, cell)):
                return "text"
            stray += 1
        counts[kind] += 1
    for kind, other in (("number", "boolean"), ("boolean", "number")):
        found = counts[kind]
        alone = not counts[other] and (kind == "number" or not counts["no number"])
        if found and alone and stray <= _STRAY_SHARE * (found + stray):
            return kind  # type: ignore[return-value]  # one of the two
    return "text"


def convert_cell(cell: str, kind: Kind) -> int | float | bool | str | None:
    """The value of a cell in a column of this kind; None for NaN and the like, stray text as it is."""
    if kind == "number":
        if cell.isdigit() and cell.isascii() and len(cell) < 19 and (cell[0] != "0" or cell == "0"):
            return int(cell)  # as the pattern has it, in a third of the time
        if _NUMBER.fullmatch(cell):
            return float(cell) if "." in cell else int(cell)
        return None if cell.lower() in _NO_NUMBERS else cell
    if kind == "comma number" and _COMMA_NUMBER.fullmatch(cell):
        return convert_cell(_point_for_comma(cell), "number")
    if kind == "boolean" and (lower := cell.lower()) in ("true", "false"):
        return lower == "true"
    return cell


def written_as_floats(cells: Iterable[str]) -> bool:
    """Whether all cells are whole numbers with a needless ".0", as programs write them that know no empty
    integer.
    """
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(map(_WHOLE_FLOAT.fullmatch, filled))


def _point_for_comma(cell: str) -> str:
    return cell.replace(".", "").replace(",", ".")


def _kind_of_cell(cell: str) -> str:
    if _NUMBER.fullmatch(cell):
        return "number"
    lower = cell.lower()
    return "boolean" if lower in ("true", "false") else "no number" if lower in _NO_NUMBERS else "text"
