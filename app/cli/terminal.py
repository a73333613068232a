"""Text for terminals: colour, highlights, wrapping, tables, and the one door through which all of it goes.

What `echo` and `warn` write is made plain, so that a name from outside cannot steer the terminal. Only a
`Line` is written as it is: `style` and `wrap` make one, of text that they made plain. Colour is click's
business: it strips styles when the output is not a terminal; NO_COLOR is honoured here.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from app.text import columns, plain, plain_json

__all__ = [
    "Line",
    "confirm",
    "echo",
    "echo_json",
    "echo_rows",
    "echo_table",
    "echo_text",
    "echo_wrapped",
    "highlight",
    "link_to",
    "rewrite",
    "style",
    "table",
    "terminal_width",
    "warn",
    "wrap",
]

_WIDEST = 100  # a longer line is hard to read, however wide the terminal is
_NARROWEST = 20
_MARK = "\x1b[1;33m", "\x1b[0m"


def terminal_width() -> int:
    """Columns to write in: the terminal's (COLUMNS wins, 80 when unknown), within what is readable."""
    return max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size((80, 24)).columns))


def known_width() -> int | None:
    """Columns that a line must fit in; None where nobody looks: in a pipe, unless COLUMNS says otherwise."""
    return terminal_width() if sys.stdout.isatty() or os.environ.get("COLUMNS") else None


def colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Line(str):
    """Text that may be written as it is: plain, with styles of ours. What is added to it is made plain."""

    __slots__ = ()

    def __add__(self, other: str) -> Line:
        return Line(str(self) + _safe(other))

    def __radd__(self, other: str) -> Line:
        return Line(_safe(other) + str(self))


def _safe(text: str) -> str:
    return str(text) if isinstance(text, Line) else plain(text)


def echo(text: str = "") -> None:
    """One line on stdout; characters that its encoding lacks become question marks."""
    encoding = sys.stdout.encoding or "utf-8"
    click.echo(_safe(text).encode(encoding, "replace").decode(encoding), color=colour())


def echo_json(value: Any, *, lines: bool = False) -> None:
    """A value as JSON, for a person on many lines; with `lines` always on one of its own.

    In UTF-8 whatever the encoding of the terminal, as it is for programs and JSON is UTF-8.
    """
    indent = 2 if sys.stdout.isatty() and not lines else None
    click.echo(plain_json(json.dumps(value, ensure_ascii=False, indent=indent, default=str)).encode())


def warn(text: str = "") -> None:
    """One line on stderr."""
    click.echo(_safe(text), err=True)


def rewrite(text: str = "") -> None:
    """`text` in place of the last line of the standard error that was written so; nothing clears it."""
    click.echo(f"\r\x1b[K{_safe(text)}", nl=False, err=True)


def confirm(question: str) -> None:
    """Ask a question that is answered by yes or no.

    Raises:
        Abort: no.
    """
    click.confirm(plain(question), abort=True)


def style(text: str, **styles: Any) -> Line:
    """`text`, made plain, in click's styles."""
    return Line(click.style(_safe(text), **styles))


def link_to(path: str, text: Line) -> Line:
    """`text`, from which a terminal that knows links opens the file `path`; others show it as it is."""
    if not colour() or not Path(path).is_absolute():
        return text
    return Line(f"\x1b]8;;{Path(path).as_uri()}\x1b\\{text}\x1b]8;;\x1b\\")


def highlight(text: str, spans: Iterable[tuple[int, int]]) -> list[tuple[str, bool]]:
    """`text` in pieces, each with whether it lies in one of `spans` (character offsets, in any order)."""
    pieces: list[tuple[str, bool]] = []
    done = 0
    for start, end in sorted(spans):
        start, end = max(start, done), min(end, len(text))
        if start >= end:
            continue
        if start > done:
            pieces.append((text[done:start], False))
        pieces.append((text[start:end], True))
        done = end
    if done < len(text):
        pieces.append((text[done:], False))
    return pieces


def wrap(
    text: str,
    *,
    width: int,
    indent: str = "",
    spans: Iterable[tuple[int, int]] = (),
    lines: int | None = None,
    prose: bool = False,
) -> list[Line]:
    """Lines of at most `width` columns, `indent` included, words kept whole, `spans` marked in bold yellow.

    White space of any kind becomes one space, the rest is made plain, `prose` as such. A word longer than a
    line is broken. After `lines` lines the rest is cut and an ellipsis stands at the end.
    """
    room = max(1, width - len(indent))
    rows: list[list[tuple[str, bool]]] = [[]]
    used = 0
    for word in _words(highlight(text, spans), prose):
        length = sum(columns(piece) for piece, _ in word)
        if used and used + 1 + length > room:
            rows.append([])
            used = 0
        if used:
            rows[-1].append((" ", False))
            used += 1
        for character, marked in ((c, m) for piece, m in word for c in piece):
            if used + columns(character) > room:
                rows.append([])
                used = 0
            rows[-1].append((character, marked))
            used += columns(character)
    if lines is not None and len(rows) > lines:
        rows = rows[:lines]
        while sum(columns(piece) for piece, _ in rows[-1]) > room - 2:
            rows[-1].pop()
        rows[-1].append((" …", False))
    return [Line(indent + _mark(row)) for row in rows if row]


def _words(pieces: Iterable[tuple[str, bool]], prose: bool) -> Iterable[list[tuple[str, bool]]]:
    """Words as lists of pieces: a highlight may end inside a word."""
    word: list[tuple[str, bool]] = []
    for piece, marked in pieces:
        for character in piece:
            if character.isspace():
                if word:
                    yield word
                word = []
            else:
                word.append((plain(character, prose=prose), marked))
    if word:
        yield word


def _mark(row: list[tuple[str, bool]]) -> str:
    text, on = "", False
    for piece, marked in row:
        if marked != on:
            text += _MARK[0] if marked else _MARK[1]
            on = marked
        text += piece
    return text + (_MARK[1] if on else "")


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Aligned columns; those numbered in `right` are aligned to the right. The header is bold."""
    rows = [[plain(cell) for cell in row] for row in rows]
    widths = [max(columns(row[i]) for row in (header, *rows)) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = []
        for i, cell in enumerate(row):
            padding = " " * (widths[i] - columns(cell))
            cells.append(padding + cell if i in right else cell + padding)
        return "  ".join(cells).rstrip()

    return [style(line(header), bold=True), *(line(row) for row in rows)]


def echo_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """A table, or where the terminal is too narrow for it one block of lines per row."""
    lines = table(header, rows, right=right)
    width = known_width()
    if width is None or max(columns(click.unstyle(line)) for line in lines) <= width:
        for line in lines:
            echo(line)
        return
    for row in rows:
        echo(style(row[0], bold=True))
        echo_rows(list(zip(header[1:], row[1:], strict=True)))


def echo_rows(rows: Sequence[tuple[str, str]], label_width: int = 12) -> None:
    """Labels and values, the values wrapped to the terminal and aligned; a longer label makes room."""
    label_width = max([label_width, *(len(label) + 1 for label, _ in rows)])
    indent = " " * (2 + label_width)
    width = known_width()
    for label, value in rows:
        lines: list[str] = [*wrap(value, width=width, indent=indent)] if width else [indent + value]
        for number, line in enumerate(lines or [indent]):
            echo((f"  {label:<{label_width}}" + line[len(indent) :]).rstrip() if number == 0 else line)


def echo_wrapped(text: str, *, indent: str = "", bold: str = "", dim: str = "") -> None:
    """`text` on as many lines as the terminal needs; its beginning may be marked as `bold` or `dim`."""
    width = known_width()
    lines = wrap(text, width=width, indent=indent) if width else [Line(indent + plain(text))]
    mark = plain(bold or dim)
    if mark and lines and lines[0].startswith(indent + mark):
        rest = lines[0][len(indent + mark) :]
        lines[0] = indent + style(mark, bold=bool(bold) or None, dim=bool(dim) or None) + rest
    for line in lines:
        echo(line)


def echo_text(text: str) -> None:
    """The text of a document, its lines and what stands before them as they are; what is longer than the
    terminal is wide is wrapped.
    """
    width = known_width()
    for line in text.replace("\r\n", "\n").expandtabs(4).split("\n"):
        shown = plain(line, prose=True)
        if width is None or columns(shown) <= width:
            echo(Line(shown))
            continue
        indent = " " * min(len(shown) - len(shown.lstrip(" ")), width // 2)
        for part in wrap(line, width=width, indent=indent, prose=True):
            echo(part)
