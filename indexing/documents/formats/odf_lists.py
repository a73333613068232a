"""The bullets and numbers of lists in OpenDocument files."""

from __future__ import annotations

from typing import Any, NamedTuple

from indexing.documents.formats.docx_styles import format_number
from indexing.documents.formats.office_xml import attribute, local_name

__all__ = ["Lists", "read_list_styles"]

_FORMS = {"1": "decimal", "a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
_BULLET = "-"


class _Level(NamedTuple):
    """`form` is empty where the level has neither bullet nor number."""

    form: str = ""
    prefix: str = ""
    suffix: str = ""
    start: int = 1
    shown: int = 1  # levels, this one included


def read_list_styles(root: Any) -> dict[str, dict[int, _Level]]:
    """The levels of each list style, from 1, by the name of the style."""
    styles: dict[str, dict[int, _Level]] = {}
    for style in root.iter() if root is not None else ():
        if local_name(style) == "list-style":
            styles[attribute(style, "name")] = dict(_read_level(level) for level in style)
    return styles


def _read_level(element: Any) -> tuple[int, _Level]:
    depth = _number(attribute(element, "level"), 1)
    if local_name(element) != "list-level-style-number":
        return depth, _Level(_BULLET)
    return depth, _Level(
        _FORMS.get(attribute(element, "num-format"), ""),
        attribute(element, "num-prefix"),
        attribute(element, "num-suffix"),
        _number(attribute(element, "start-value"), 1),
        _number(attribute(element, "display-levels"), 1),
    )


class Lists:
    """The lists that are open, the outermost first, and the number of the item in each."""

    def __init__(self, styles: dict[str, dict[int, _Level]]) -> None:
        self._styles = styles
        self._open: list[tuple[str, int]] = []  # name of the style, number of the item
        self._last: dict[str, int] = {}
        self._pending = False  # the item has begun, its first paragraph has not

    @property
    def depth(self) -> int:
        return len(self._open)

    def open(self, style: str, continued: bool) -> None:
        """A list begins; one within another has its style unless it names one."""
        if not style and self._open:
            style = self._open[-1][0]
        level = self._level(style, len(self._open) + 1)
        number = self._last.get(style, level.start - 1) if continued else level.start - 1
        self._open.append((style, number))

    def close(self) -> None:
        if self._open:
            style, number = self._open.pop()
            if not self._open:
                self._last[style] = number
        self._pending = False

    def begin_item(self, start: str, *, shown: bool) -> None:
        self._pending = shown
        if shown and self._open:
            style, number = self._open[-1]
            self._open[-1] = (style, _number(start, number + 1))

    def item(self) -> str:
        """What stands before the paragraph that begins now; "" if it is not the first of an item."""
        if not self._pending or not self._open:
            return ""
        self._pending = False
        depth = len(self._open)
        style = self._open[-1][0]
        if style not in self._styles:
            return _BULLET
        level = self._level(style, depth)
        if level.form in ("", _BULLET):
            return level.form
        first = max(depth - level.shown, 0)
        numbers = [
            format_number(at[1], self._level(style, first + offset + 1).form or "decimal")
            for offset, at in enumerate(self._open[first:depth])
        ]
        return f"{level.prefix}{'.'.join(numbers)}{level.suffix}".strip()

    def _level(self, style: str, depth: int) -> _Level:
        return self._styles.get(style, {}).get(depth, _Level(_BULLET))


def _number(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default
