"""Manual pages (troff with the macros of man or mdoc) as readable text: the title, headings, and paragraphs.

Macros are read for what they mean to a reader; fonts, sizes and positions are left out. Nothing is run, and
no other file is opened. A file that is no manual page, a log called `app.1` say, is read as text.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from indexing.documents.formats import text as plain_text
from indexing.documents.formats.blocks import Blocks
from indexing.documents.formats.mdoc import Mdoc
from indexing.documents.formats.troff import Strings, split_arguments
from indexing.documents.model import Item, Skipped
from indexing.documents.source import SourceFile, read_text

__all__ = ["read"]

_IS_MANUAL = re.compile(r"^[.'][ \t]*(?:TH|Dd|so)\b", re.MULTILINE)
_SNIFFED = 32 * 1024
_FONTS = frozenset(("B", "I", "R", "SM", "SB", "BI", "BR", "IB", "IR", "RB", "RI"))
_SILENT = frozenset(
    "ad af bd bp c2 cc ch cs cu da di do ec em eo ev ex fc fp ft hc hw hy in it ll lt mk na ne nh nm nn nr "
    "ns nx os pc pi pl pm pn po ps rd rm rn rr rs rt sv ta tc tl tm tr uf vs wh als mso LINKSTYLE AT DT UC "
    "UE ME YS IX".split()
)
_BREAKS = frozenset(("PP", "P", "LP", "sp", "br", "ce", "Sp", "Vb", "Ve", "PD", "RS", "RE", "HP", "fl", "ti"))
_CONDITION = re.compile(r"(!?)([nteo]|[^ \t\\]\S*|\\\S+)[ \t]*(.*)", re.DOTALL)
_REQUEST = re.compile(r"([^ \t\\]*)[ \t]*(.*)", re.DOTALL)
_PARAMETER = re.compile(r"\\\\?\$([1-9*@])")
_REPLACED = frozenset(
    ("EQ", "MR", "MT", "OP", "PS", "SY", "TS", "UR")
)  # younger macros, whose names old pages took
_MOST_EXPANDED = 20_000


def read(file: SourceFile) -> Iterator[Item]:
    source = read_text(file)
    if not _IS_MANUAL.search(source[:_SNIFFED]):
        yield from plain_text.read(file)
        return
    page = _Page(source)
    if page.other and not page.blocks.text():
        yield Skipped(file.source, None, f"is another name of {page.other}, which has the text")
        return
    yield page.blocks.item(file, page.title(), page.metadata())


class _Page:
    """Reads the lines of a page, each with its number, into blocks."""

    def __init__(self, source: str) -> None:
        self.blocks = Blocks()
        self.other = ""
        self.strings = Strings()
        self._lines = source.split("\n")
        self._number = 0
        self._words: list[str] = []  # of the paragraph that is being read
        self._begins = 1
        self._verbatim = False
        self._tag = False  # the next line is the tag of a paragraph
        self._tagged = ""
        self._taken = False  # the last condition was true
        self._name = self._section = self._summary = ""
        self._heading = ""
        self._mdoc = Mdoc()
        self._macros: dict[str, tuple[str, ...]] = {}
        self._waiting: deque[str] = deque()  # lines that a macro or a condition gave
        self._expanded = 0
        self._braces = 0  # blocks of conditions that are being read
        while (line := self._next()) is not None:
            self._read_line(line)
        self._end()

    def title(self) -> str:
        """`printf(3): formatted output conversion`, as far as the page says it."""
        name = self._name or self._mdoc.name
        section = self._section or self._mdoc.section
        named = f"{name}({section})" if name and section else name
        summary = self._summary or self._mdoc.summary
        return f"{named}: {summary}" if named and summary else named or summary

    def metadata(self) -> dict[str, str]:
        section = self._section or self._mdoc.section
        return {"section": section} if section else {}

    def _next(self) -> str | None:
        if self._waiting:
            return self._waiting.popleft()
        if self._number >= len(self._lines):
            return None
        self._number += 1
        return self._lines[self._number - 1]

    def _read_line(self, line: str) -> None:
        pieces = [line]
        while pieces[-1].endswith("\\") and not pieces[-1].endswith(("\\\\", "\\{\\")):
            pieces[-1] = pieces[-1][:-1]
            pieces.append(self._next() or "")
        line = "".join(pieces)
        if self._braces and "\\}" in line:
            self._braces -= line.count("\\}")
            line = line.replace("\\}", "")
        if line[:1] in (".", "'") and len(line) > 1:
            self._request(line[1:].lstrip(" \t"))
        elif line[:1] not in (".", "'"):
            self._text(line)

    def _text(self, line: str) -> None:
        if not line.strip() and not self._verbatim:
            self._end()
            return
        text = self.strings.expand(line)
        if self._verbatim:
            self._add(text.rstrip())
        elif self._tag:
            self._tag = False
            self._tagged, self._begins = text.strip(), self._number
        else:
            self._add(text.strip())

    def _request(self, line: str) -> None:
        name, rest = _REQUEST.match(line).groups()  # type: ignore[union-attr]  # matches everything
        if not name:  # a comment, or nothing
            return
        if name in ("if", "ie", "el", "while"):
            self._condition(name, rest)
        elif name in self._macros and name in _REPLACED:
            self._call(self._macros[name], split_arguments(rest))
        elif name in ("de", "ig", "am", "de1", "TS", "EQ", "PS"):
            self._region(name, rest)
        elif name == "so":
            self.other = self.other or rest.strip()
        elif name in ("ds", "as"):
            self.strings.define(rest)
        elif name in ("TH", "SH", "SS", "SY"):
            self._headings(name, rest)
        elif name in ("TP", "TQ", "IP"):
            self._end()
            self._tag = name != "IP"
            arguments = split_arguments(rest)
            if name == "IP" and arguments:
                self._tagged, self._begins = self.strings.expand(arguments[0]).strip(), self._number
        elif name in ("nf", "EX", "Vb", "fi", "EE", "Ve"):
            self._end()
            self._verbatim = name in ("nf", "EX", "Vb")
        elif name in _FONTS or name in ("UR", "MT", "OP", "MR"):
            self._fonts(name, split_arguments(rest))
        elif name in _BREAKS:
            if name not in ("br", "ti") or self._verbatim:
                self._end()
            elif self._words:
                self._words.append("\n")
        elif name not in _SILENT:
            self._other(name, rest)

    def _headings(self, name: str, rest: str) -> None:
        arguments = [self.strings.expand(argument) for argument in split_arguments(rest)]
        self._end()
        self._verbatim = False
        if name == "TH" and arguments:
            self._name, self._section = arguments[0].lower() if arguments[0].isupper() else arguments[0], ""
            self._section = arguments[1] if len(arguments) > 1 else ""
        elif name == "SY":
            self._add(" ".join(arguments))
        elif name != "TH":
            words = " ".join(arguments)
            words = words or self.strings.expand(self._next() or "")
            self._heading = words.strip() if name == "SH" else self._heading
            self.blocks.add_heading(words, 1 if name == "SH" else 2, self._number)

    def _fonts(self, name: str, arguments: list[str]) -> None:
        if name in ("BI", "BR", "IB", "IR", "RB", "RI"):
            text = "".join(arguments)
        elif name == "OP":
            text = f"[{' '.join(arguments)}]"
        elif name == "MR":
            text = "{}({}){}".format(*[*arguments, "", "", ""][:3])
        else:
            text = " ".join(arguments)
        if text:
            self._text(text)
        elif name in ("B", "I", "SM", "SB") and (line := self._next()) is not None:
            self._read_line(line)  # the font is for the next line

    def _other(self, name: str, rest: str) -> None:
        """A macro of mdoc, or one that the page defines itself: its arguments are text."""
        found = self._mdoc.line(name, rest, self.strings)
        if found is None:
            self._call(self._macros.get(name, ()), split_arguments(rest))
            return
        kind, text = found
        if kind == "heading":
            self._headings("SH" if name == "Sh" else "SS", text)
        elif kind == "tag":
            self._end()
            self._tagged, self._begins = text, self._number
        elif kind in ("verbatim", "filled", "break"):
            self._end()
            self._verbatim = kind == "verbatim" or (self._verbatim and kind == "break")
        elif text:
            self._add(text)

    def _condition(self, name: str, rest: str) -> None:
        if name == "el":
            taken, rest = not self._taken, rest
        else:
            match = _CONDITION.match(rest)
            if match is None:
                return
            taken = (match[2] in ("n", "o", "\\n(.g", "\\n[.g]")) != bool(match[1])
            rest = match[3]
            self._taken = taken
        rest = rest.strip()
        if rest.startswith("\\{"):
            if taken:
                self._braces += 1
                self._read_line(rest[2:].lstrip(" ") if rest[2:] not in ("", "\\") else "")
            else:
                self._leave_out(rest[2:])
        elif taken and rest:
            self._waiting.appendleft(rest)

    def _leave_out(self, line: str | None) -> None:
        """Pass over a block up to the brace that closes it."""
        depth = 1
        while line is not None:
            depth += line.count("\\{") - line.count("\\}")
            line = self._next() if depth > 0 else None

    def _region(self, name: str, rest: str) -> None:
        """Lines up to the one that ends a definition, a comment, an equation or a table."""
        words = rest.split()
        last = {"TS": ".TE", "EQ": ".EN", "PS": ".PE"}.get(name)
        if last is None:
            last = "." + (
                words[1] if len(words) > 1 and name != "ig" else words[0] if words and name == "ig" else "."
            )
        lines = []
        while (line := self._next()) is not None and line.replace(" ", "").rstrip() != last:
            lines.append(line)
        if name == "TS":
            self._table(lines)
        elif words and name.startswith("de") and len(self._macros) < 1000:
            self._macros[words[0]] = tuple(lines)

    def _call(self, body: tuple[str, ...], arguments: list[str]) -> None:
        """The lines of a macro that the page defines, with its arguments put in."""
        self._expanded += len(body)
        if self._expanded > _MOST_EXPANDED:
            return  # one that calls itself, say
        lines = [_PARAMETER.sub(lambda found: _parameter(arguments, found[1]), line) for line in body]
        self._waiting.extendleft(line.replace("\\\\", "\\") for line in reversed(lines))

    def _table(self, lines: list[str]) -> None:
        """A table of tbl: a line of text a row; its layout, up to a line that ends with a dot, goes."""
        self._end()
        start = next((at + 1 for at, line in enumerate(lines) if line.rstrip().endswith(".")), 0)
        rows = "\n".join(line for line in lines[start:] if line[:1] not in (".", "'"))
        first, *blocks = rows.split("T{")  # cells of several lines
        for block in blocks:
            cell, _, after = block.partition("T}")
            first += cell.strip("\n").replace("\n", " ") + after
        cells = (self.strings.expand(row.replace("\t", "  ")).strip() for row in first.split("\n"))
        self.blocks.add("\n".join(row for row in cells if row.strip("_=- ")), self._number - len(lines))

    def _add(self, text: str) -> None:
        if not self._words and not self._tagged:
            self._begins = self._number
        self._words.append(text + "\n" if self._verbatim else text)

    def _end(self) -> None:
        """The paragraph is whole."""
        joined = "".join(self._words) if self._verbatim else " ".join(self._words)
        text = joined if self._verbatim else re.sub(r" *\n *", "\n", re.sub(r"[ \t]+", " ", joined)).strip()
        if self._tagged:
            text = f"{self._tagged}\n{text}" if text else self._tagged
        self._tagged, self._words = "", []
        if text and self._heading.upper() in ("NAME", "NOM", "BEZEICHNUNG", "NOMBRE") and not self._summary:
            self._summary = (
                re.split(r" +[-\u2013\u2014\u2212\\]+ +", text, maxsplit=1)[-1] if " " in text else ""
            )
        self.blocks.add(text, self._begins)


def _parameter(arguments: list[str], name: str) -> str:
    if not name.isdigit():
        return " ".join(arguments)
    return arguments[int(name) - 1] if int(name) <= len(arguments) else ""
