"""What a Word document's styles and lists say of a paragraph: that it is a heading, what its number is."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from indexing.documents.formats.office_xml import attribute, local_name

__all__ = ["Numbers", "Style", "read_styles"]

_HEADING = re.compile(r"heading (\d)", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"%(\d)")
_DEEPEST = 9
_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
    (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip


class Style(NamedTuple):
    """`level` of a heading from 1, 0 for none; `list` and `depth` of its numbering, "" for none."""

    level: int = 0
    title: bool = False
    list: str = ""
    depth: int = 0


def read_styles(root: Any) -> dict[str, Style]:
    """The paragraph styles by their id; what a style lacks is that of the one it is based on."""
    raw: dict[str, tuple[str, Style]] = {}
    for style in root if root is not None else ():
        if local_name(style) == "style":
            raw[attribute(style, "styleId")] = _read_style(style)
    return {name: _inherited(raw, name) for name in raw}


def _read_style(element: Any) -> tuple[str, Style]:
    based, style = "", Style()
    for part in element:
        name = local_name(part)
        if name == "basedOn":
            based = attribute(part, "val")
        elif name == "name":
            called = attribute(part, "val")
            heading = _HEADING.fullmatch(called)
            style = style._replace(
                level=int(heading[1]) if heading else style.level, title=called.lower() == "title"
            )
        elif name == "pPr":
            style = paragraph_style(part, style)
    return based, style


def paragraph_style(properties: Any, style: Style) -> Style:
    """`style` with what a paragraph's own properties say over it."""
    for part in properties:
        name = local_name(part)
        if name == "outlineLvl":
            level = _number(attribute(part, "val"), _DEEPEST) + 1
            style = style._replace(level=level if level <= _DEEPEST else 0)
        elif name == "numPr":
            values = {local_name(entry): attribute(entry, "val") for entry in part}
            style = style._replace(
                list=values.get("numId", style.list), depth=_number(values.get("ilvl", ""), style.depth)
            )
    return style


def _inherited(raw: dict[str, tuple[str, Style]], name: str) -> Style:
    level, list_, depth, title = 0, "", 0, raw[name][1].title
    seen: set[str] = set()
    while name in raw and name not in seen:
        seen.add(name)
        name, style = raw[name]
        level = level or style.level
        if not list_:
            list_, depth = style.list, depth or style.depth
    return Style(level, title, list_, depth)


class _Level(NamedTuple):
    form: str
    start: int
    pattern: str


class Numbers:
    """Counts the paragraphs of lists, as Word does when it shows them: `4.2`, `(b)`, `-` for bullets."""

    def __init__(self, root: Any) -> None:
        self._levels: dict[str, dict[int, _Level]] = {}  # of an abstract list
        self._lists: dict[str, tuple[str, dict[int, int]]] = {}  # its abstract list, starts of its own
        self._counts: dict[str, dict[int, int]] = {}
        for part in root if root is not None else ():
            name = local_name(part)
            if name == "abstractNum":
                self._levels[attribute(part, "abstractNumId")] = dict(
                    _read_level(level) for level in part if local_name(level) == "lvl"
                )
            elif name == "num":
                self._read_list(part)

    def next(self, list_: str, depth: int) -> str:
        """The number of the next paragraph of a list; "" if it has none."""
        abstract, starts = self._lists.get(list_, ("", {}))
        levels = self._levels.get(abstract, {})
        level = levels.get(depth)
        if level is None:
            return ""
        if level.form == "bullet":
            return "-"
        # Lists made of one abstract list count on from each other, unless they have a start of their own.
        counts = self._counts.setdefault(list_ if starts else abstract, {})
        counts[depth] = counts.get(depth, starts.get(depth, level.start) - 1) + 1
        for deeper in [key for key in counts if key > depth]:
            del counts[deeper]

        def shown(match: re.Match[str]) -> str:
            at = int(match[1]) - 1
            of = levels.get(at, level)
            return format_number(counts.get(at, starts.get(at, of.start)), of.form)

        return _PLACEHOLDER.sub(shown, level.pattern).strip()

    def _read_list(self, element: Any) -> None:
        abstract, starts = "", {}
        for part in element:
            if local_name(part) == "abstractNumId":
                abstract = attribute(part, "val")
            elif local_name(part) == "lvlOverride":
                for entry in part:
                    if local_name(entry) == "startOverride":
                        starts[_number(attribute(part, "ilvl"))] = _number(attribute(entry, "val"), 1)
        self._lists[attribute(element, "numId")] = (abstract, starts)


def _read_level(element: Any) -> tuple[int, _Level]:
    values = {local_name(part): attribute(part, "val") for part in element}
    level = _Level(
        values.get("numFmt", "decimal"), _number(values.get("start", "1")), values.get("lvlText", "")
    )
    return _number(attribute(element, "ilvl")), level


def format_number(number: int, form: str) -> str:
    """`number` as a list shows it: decimal, lowerLetter, upperRoman and so on; decimal for all others."""
    if form in ("none", "bullet"):
        return ""
    if form == "decimalZero":
        return f"{number:02d}"
    if form.endswith("Letter") and 0 < number <= 26 * 50:
        shown = chr(ord("a") + (number - 1) % 26) * (1 + (number - 1) // 26)
    elif form.endswith("Roman") and 0 < number < 4000:
        shown = ""
        for value, letters in _ROMAN:
            shown += letters * (number // value)
            number %= value
    else:
        return str(number)
    return shown.upper() if form.startswith("upper") else shown


def _number(text: str, default: int = 0) -> int:
    return int(text) if re.fullmatch(r"\d{1,9}", text) else default
