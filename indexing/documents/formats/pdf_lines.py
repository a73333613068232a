"""The text of one page of a PDF as it was set: which of its lines flow on, and where paragraphs begin.

A PDF has no lines and no paragraphs, only glyphs at places. PDFium puts them in order and breaks the text
where they go down; here the places of the first and last glyph of each such line tell the rest.
"""

from __future__ import annotations

import ctypes
import re
import statistics
from itertools import pairwise
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium

__all__ = ["HYPHEN", "page_text"]

# What PDFium writes for a hyphen at the end of a line whose word goes on in the next.
HYPHEN = "\ufffe"
# Characters a line must have room for before its end says anything: below, it is a list or a table.
_NARROWEST = 35
# A letter is about half as wide as its line is high; a step of this many usual steps is a gap.
_LETTER, _GAP = 0.5, 1.35
_ITEM = re.compile(r"(?:[•◦▪▸►‣∙·●○■□–—*-]|\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})[.)])\s")
# Scripts that are written without blanks between words: Thai to Burmese, Khmer, Chinese and Japanese.
_UNSPACED = re.compile("[\u0e00-\u109f\u1780-\u17ff\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff\uff01-\uff9f]")
# The dots of a table of contents, and a line of it.
_LEADERS = re.compile(r" ?(?:\. ?){5,}")
_LISTED = re.compile(r"… ?[\divxlc]{1,7}$")
_CLEAN = str.maketrans(
    {
        "\u00a0": " ", "\u00ad": "", "\u200b": "", "\ufeff": "", "\x00": "", "\f": "\n", "\v": "\n",
        "ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st",
    }
)  # fmt: skip


class _Line(NamedTuple):
    """`left`, `top` and `height` of the first glyph; `right` and `end` (its top) of the last one, which is
    lower where PDFium joined a word that a hyphen divided."""

    text: str
    left: float
    top: float
    height: float
    right: float
    end: float


def page_text(textpage: Any) -> str:
    """The page's text: a line break where lines do not flow on, a blank line between paragraphs.

    `textpage` is a `pypdfium2.PdfTextPage`. Divided words keep `HYPHEN`: whether it belongs to the word is
    known only from the whole document.
    """
    lines = _lines(textpage, textpage.get_text_range())
    if not lines:
        return ""
    step = _usual_step(lines)
    edges = _right_edges(lines, step)
    parts = [lines[0].text]
    for before, line, edge, after in zip(lines, lines[1:], edges, [*lines[2:], None], strict=False):
        parts.append(_between(before, line, after, edge, step))
        parts.append(line.text)
    return "".join(parts)


def _lines(textpage: Any, text: str) -> list[_Line]:
    lines = []
    position = 0
    for raw in text.split("\r\n"):
        cleaned = _LEADERS.sub(" … ", raw.translate(_CLEAN)).strip()
        if cleaned:
            start = position + _units(raw[: len(raw) - len(raw.lstrip())])
            end = position + _units(raw.rstrip()) - 1
            first, last = _glyph(textpage, start), _glyph(textpage, end)
            lines.append(
                _Line(cleaned, first.left, first.top, abs(first.top - first.bottom), last.right, last.top)
            )
        position += _units(raw) + 2
    return lines


def _units(text: str) -> int:
    """How many UTF-16 units PDFium counts for `text`."""
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)


def _glyph(textpage: Any, position: int) -> Any:
    """The place of the glyph at `position`, in points from the lower left corner; all 0 if unknown."""
    box = pdfium.FS_RECTF()
    index = pdfium.FPDFText_GetCharIndexFromTextIndex(textpage.raw, position)
    if index >= 0:
        pdfium.FPDFText_GetLooseCharBox(textpage.raw, index, ctypes.byref(box))
    return box


def _usual_step(lines: list[_Line]) -> float:
    """How far below its neighbour a line of this page mostly is; 0 if no two are near."""
    steps = [a.end - b.top for a, b in pairwise(lines) if _same_size(a, b)]
    steps = [step for step in steps if step > 0]
    return statistics.median_low(steps) if steps else 0.0


def _same_size(a: _Line, b: _Line) -> bool:
    return 0 < 0.85 * a.height <= b.height <= 1.18 * a.height


def _follows(before: _Line, line: _Line, step: float) -> bool:
    """Whether `line` is the next one of the same block: as large, one step below, and under it."""
    down = before.end - line.top
    return (
        _same_size(before, line)
        and 0.5 * line.height < down <= _GAP * step
        and down < 3 * line.height
        and line.left < before.right
        and before.left < line.right
    )


def _right_edges(lines: list[_Line], step: float) -> list[float]:
    """For each line how far right its block reaches; 0 where the block is too narrow to tell."""
    edges: list[float] = []
    block: list[_Line] = []
    for line in lines:
        if block and not _follows(block[-1], line, step):
            edges += [_edge(block)] * len(block)
            block = []
        block.append(line)
    return edges + [_edge(block)] * len(block)


def _edge(block: list[_Line]) -> float:
    right = max(line.right for line in block)
    width = right - min(line.left for line in block)
    return right if width >= _NARROWEST * _LETTER * block[0].height else 0.0


def _between(before: _Line, line: _Line, after: _Line | None, edge: float, step: float) -> str:
    """What stands between two lines: nothing or a space where they flow on, a line break or a blank line."""
    if not _follows(before, line, step):
        same_row = abs(before.end - line.top) < 0.5 * line.height
        return "\n" if same_row else "\n\n"
    item = _ITEM.match(line.text)
    word = line.text.split(None, 1)[0]
    full = (
        edge > 0
        and not _LISTED.search(before.text)
        and before.right + _LETTER * line.height * (len(word) + 1) > edge
    )
    if not full or item:
        return "\n"
    if line.left - before.left > 0.7 * line.height and not _ITEM.match(before.text):
        outdented = after is None or not _follows(line, after, step) or after.left < line.left
        if outdented:  # the first line of the next paragraph, its last line happened to be full
            return "\n"
    if before.text.endswith(("-", "\u2010")) and before.text[-2:-1].isalnum():
        return ""
    return "" if _UNSPACED.match(before.text[-1]) and _UNSPACED.match(line.text[0]) else " "
