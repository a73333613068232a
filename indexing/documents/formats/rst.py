"""reStructuredText as readable text: titles as headings, roles and directives as the words in them.

Nothing is run or included: what a directive names stays unread, what it holds is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from indexing.documents.formats.blocks import Blocks
from indexing.documents.model import Item
from indexing.documents.source import SourceFile, read_text

__all__ = ["inline_text", "read"]

_RULE = re.compile(r"([!-/:-@\[-`{-~])\1*[ \t]*")
_DIRECTIVE = re.compile(r"^(\s*)\.\.[ \t]+(?:\|[^|\n]+\|[ \t]+)?([\w:.+-]+?)[ \t]*::(?:[ \t]+(.*))?$")
_TARGET = re.compile(r"^\s*(?:\.\.[ \t]+_[^\n]*|__[ \t]+\S.*)$")
_FOOTNOTE = re.compile(r"^\s*\.\.[ \t]+\[([^\]\n]+)\][ \t]+(.*)$")
_COMMENT = re.compile(r"^(\s*)\.\.(?:[ \t]+.*)?$")
_OPTION = re.compile(r"^\s+:[\w-]+:(?:[ \t].*)?$")
_FIELD = re.compile(r"^:([\w -]+):[ \t]*(.*)$")
_TABLE_RULE = re.compile(r"^\s*(?:[=-]{2,}(?:[ \t]+[=-]+)*|\+[-=+]+\+)[ \t]*$")
_ROLE = re.compile(r":(?:[\w.+-]{1,60}:){0,3}[\w.+-]{1,60}:`([^`]{1,1000})`")
_LINK = re.compile(r"`([^`<]{1,1000}?)\s*<[^`>\n]{1,1000}>`__?")
_QUOTED = re.compile(r"(?<![\w`])(\*\*|\*|``|`|\|)(?=\S)([^\n*`|]{0,1000}?\S)\1(?:__?)?(?!\w)")
_SUBSTITUTION = re.compile(r"\\(.)", re.DOTALL)
# What a directive says after its name is an address, a language or a setting, and no text.
_NAMES_ONLY = frozenset(
    "code code-block contents csv-table currentmodule figure highlight image include index literalinclude "
    "math meta module py:module raw role sectnum sourcecode tabularcolumns toctree highlightlang "
    "default-role testsetup testcode doctest graphviz only rst-class".split()
)
# What stands below these is no text for a reader.
_DROPPED = frozenset(
    "toctree index raw meta highlight testsetup role default-role graphviz tabularcolumns".split()
)
_DATED = frozenset(("date", "author", "authors", "version", "status", "title", "revision"))


def read(file: SourceFile) -> Iterator[Item]:
    page = _Page(read_text(file).expandtabs())
    title = page.fields.pop("title", "")
    yield page.blocks.item(file, title, page.fields)


def inline_text(text: str) -> str:
    """Text without its marks: emphasis, roles, links and references keep their words."""
    text = _ROLE.sub(lambda found: _target(found[1]), text)
    text = _LINK.sub(r"\1", text)
    text = _QUOTED.sub(r"\2", text)
    text = _QUOTED.sub(r"\2", text) if "*" in text or "`" in text else text
    return _SUBSTITUTION.sub(lambda found: "" if found[1].isspace() else found[1], text)


def _target(content: str) -> str:
    """`title <target>` is its title, `~package.Class` its last name."""
    shown = re.sub(r"\s*<[^>]*>$", "", content)
    return shown.rpartition(".")[2] if shown.startswith("~") else shown.lstrip("!")


class _Page:
    def __init__(self, source: str) -> None:
        self.blocks = Blocks()
        self.fields: dict[str, str] = {}
        self._lines = source.split("\n")
        self._styles: list[str] = []  # adornments of titles in the order they were met: their levels
        self._paragraph: list[str] = []
        self._begins = 1
        self._prose = False  # past what stands below the title of the document
        self._literal = -1  # lines indented deeper than this are verbatim
        at = 0
        while at < len(self._lines):
            at = self._read(at)
        self._end()

    def _read(self, at: int) -> int:
        """Read what begins at line `at`; where the next begins."""
        line = self._lines[at]
        if not line.strip():
            if self._literal < 0:
                self._end()
            elif self._paragraph:
                self._paragraph.append("")
            return at + 1
        indent = len(line) - len(line.lstrip())
        if self._literal >= 0:
            if indent > self._literal:
                self._add(line, at)
                return at + 1
            self._end()
            self._literal = -1
        return self._title(at) or self._marked(at, indent) or self._text(at, indent)

    def _title(self, at: int) -> int:
        """The line after a title that stands at `at`, 0 where none does."""
        line = self._lines[at]
        if _RULE.fullmatch(line):
            if self._is_rule(at + 2) and self._lines[at + 2].rstrip() == line.rstrip() and self._word(at + 1):
                return self._add_title(self._lines[at + 1].strip(), line[0] * 2, at + 1, 3 + at)
            if len(line.strip()) >= 4 and not self._word(at + 1) and not self._paragraph:
                self._end()
                return at + 1  # a line across the page
            return 0
        under = self._lines[at + 1].rstrip() if self._is_rule(at + 1) else ""
        enough = len(under) >= min(len(line.rstrip()), 4) and (len(under) > 1 or len(line.strip()) == 1)
        if under and enough and not line[0].isspace() and not self._paragraph:
            return self._add_title(line.strip(), under[0], at, at + 2)
        return 0

    def _is_rule(self, at: int) -> bool:
        return at < len(self._lines) and bool(_RULE.fullmatch(self._lines[at]))

    def _word(self, at: int) -> bool:
        return at < len(self._lines) and bool(self._lines[at].strip()) and not self._is_rule(at)

    def _add_title(self, words: str, style: str, at: int, after: int) -> int:
        self._end()
        if style not in self._styles:
            self._styles.append(style)
        self.blocks.add_heading(inline_text(words), self._styles.index(style) + 1, at + 1)
        return after

    def _marked(self, at: int, indent: int) -> int:
        """Explicit markup: directives, targets, footnotes, comments. The line after, 0 if there is none."""
        line = self._lines[at]
        if _TARGET.match(line):
            return at + 1
        if directive := _DIRECTIVE.match(line):
            return self._directive(directive, at, indent)
        if footnote := _FOOTNOTE.match(line):
            self._end()
            self._add(f"[{footnote[1]}] {footnote[2]}", at)
            return at + 1
        if _COMMENT.match(line):
            self._end()
            return self._below(at + 1, indent)
        if (field := _FIELD.match(line)) and not self._prose and not self._paragraph:
            if field[1].lower() in _DATED and field[2].strip():
                self.fields[field[1].lower()] = inline_text(field[2].strip())
            return at + 1 if not field[2].strip() or field[1].lower() in _DATED else 0
        return 0

    def _directive(self, directive: re.Match[str], at: int, indent: int) -> int:
        self._end()
        name = directive[2].lower()
        words = (directive[3] or "").strip()
        after = at + 1
        while after < len(self._lines) and _OPTION.match(self._lines[after]):
            found = _OPTION.match(self._lines[after])
            if found and ":alt:" in self._lines[after]:
                self._add(self._lines[after].partition(":alt:")[2].strip(), after)
            after += 1
        if name in _DROPPED or name.startswith("auto"):
            return self._below(after, indent)
        if name in _NAMES_ONLY:
            words = ""
        if words:
            self._add(inline_text(words), at)
            self._end()
        if name in (
            "code",
            "code-block",
            "sourcecode",
            "doctest",
            "testcode",
            "math",
            "parsed-literal",
            "prompt",
        ):
            self._literal = indent
        return after

    def _below(self, at: int, indent: int) -> int:
        """The first line from `at` on that is not indented deeper than `indent`."""
        while at < len(self._lines):
            line = self._lines[at]
            if line.strip() and len(line) - len(line.lstrip()) <= indent:
                break
            at += 1
        return at

    def _text(self, at: int, indent: int) -> int:
        line = self._lines[at]
        if _TABLE_RULE.match(line):
            return at + 1
        if line.lstrip().startswith("|") and line.rstrip().endswith("|") and line.count("|") > 2:
            line = " " * indent + " ".join(line.replace("|", " ").split())
        text = line.rstrip()
        if text.endswith("::"):
            text = "" if text.strip() == "::" else text[:-2].rstrip() if text[-3:-2].isspace() else text[:-1]
            self._literal = indent
        if text:
            self._add(text, at)
        if self._literal >= 0:
            self._end()
        return at + 1

    def _add(self, text: str, at: int) -> None:
        if not self._paragraph:
            self._begins = at + 1
        self._paragraph.append(text)

    def _end(self) -> None:
        text = "\n".join(self._paragraph)
        self._paragraph = []
        if text.strip():
            self.blocks.add(
                text if self._literal >= 0 and text[0] == " " else inline_text(text), self._begins
            )
