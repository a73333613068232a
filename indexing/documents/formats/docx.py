"""Word documents (DOCX, DOCM, DOTX): one file is one document, its headings are marks.

Notes and comments stand after the paragraph that they belong to, text boxes before theirs, lists have the
numbers that Word shows, headers and footers come once at the end. What was deleted under change tracking,
hidden text and field codes are left out. README.md here says why not one of the libraries.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lxml import etree

from indexing.documents.formats.docx_styles import Numbers, Style, paragraph_style, read_styles
from indexing.documents.formats.flow import Flow, tidy
from indexing.documents.formats.office_xml import Package, attribute, local_name, open_package
from indexing.documents.formats.titles import sensible_title
from indexing.documents.model import Document, Item
from indexing.documents.source import SourceFile, Unreadable

__all__ = ["read"]

# Deleted or moved away, codes of fields, the reading aid above ruby text, what stands in for a drawing where
# the drawing itself cannot be shown.
_LEFT_OUT = frozenset(("del", "moveFrom", "delText", "instrText", "delInstrText", "rt", "Fallback"))
_NOTES = {"footnoteReference": "footnotes", "endnoteReference": "endnotes"}


def read(file: SourceFile) -> Iterator[Item]:
    with open_package(file) as package:
        main = package.main_part("word/document.xml")
        word = _Word(package, main)
        word.read_body(main)
        word.read_margins()
        title, author = package.properties()
    text = word.flow.text()
    if not text:
        raise Unreadable("no text in it")
    author = sensible_title(author)
    title = sensible_title(title) or sensible_title(word.title)
    yield Document(file.name, text, title, {"author": author} if author else {}, marks=word.flow.marks())


class _Paragraph:
    """One that is being read: its pieces of text, what refers to notes, and what its properties say."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.style = Style()
        self.notes: list[tuple[str, str]] = []


class _Word:
    def __init__(self, package: Package, main: str) -> None:
        self.flow = Flow()
        self.title = ""
        self._package = package
        self._targets: dict[str, list[str]] = {}
        for relation in package.relations(main).values():
            self._targets.setdefault(relation.kind, []).append(relation.target)
        self._styles = read_styles(self._part("styles"))
        self._numbers = Numbers(self._part("numbering"))
        self._notes: dict[str, dict[str, Any]] = {}
        self._noted = 0
        self._paragraphs: list[_Paragraph] = []
        # Where finished paragraphs go: the flow at the bottom, then a list for each open cell of a table.
        self._cells: list[list[str]] = []
        self._rows: list[list[str]] = []
        self._waiting: list[tuple[str, str]] = []  # notes of the table that is being read

    def read_body(self, main: str) -> None:
        root = self._package.xml(main)
        if root is not None:
            self._walk(root)

    def read_margins(self) -> None:
        """Headers and footers, each text once."""
        seen = set()
        for kind in ("header", "footer"):
            for target in self._targets.get(kind, ()):
                root = self._package.xml(target)
                text = "" if root is None else self._text_of(root)
                if text not in seen:
                    seen.add(text)
                    self.flow.add(text)

    def _part(self, kind: str) -> Any:
        targets = self._targets.get(kind)
        return self._package.xml(targets[0]) if targets else None

    def _walk(self, root: Any) -> None:
        walk = etree.iterwalk(root, events=("start", "end"))
        for event, element in walk:
            name = local_name(element)
            if event == "start":
                if _is_left_out(name, element):
                    walk.skip_subtree()
                    continue
                self._start(name, element)
            else:
                self._end(name, element)

    def _start(self, name: str, element: Any) -> None:
        if name == "p":
            self._paragraphs.append(_Paragraph())
        elif name == "tbl":
            self._rows.append([])
        elif name == "tc":
            self._cells.append([])
        elif name == "pPr" and self._paragraphs:
            named = {local_name(part): attribute(part, "val") for part in element}
            style = self._styles.get(named.get("pStyle", ""), Style())
            self._paragraphs[-1].style = paragraph_style(element, style)

    def _end(self, name: str, element: Any) -> None:
        if name == "p" and self._paragraphs:
            self._finish(self._paragraphs.pop())
        elif name == "tc" and self._cells and self._rows:
            self._rows[-1].append(" ".join(self._cells.pop()))
        elif name == "tr" and self._rows:
            self._finish_row()
        elif name == "tbl" and self._rows:
            self._rows.pop()
            if not self._rows:
                self._write_notes(self._waiting)
                self._waiting = []
        elif self._paragraphs:
            self._add_run(name, element, self._paragraphs[-1])

    def _add_run(self, name: str, element: Any, paragraph: _Paragraph) -> None:
        if name == "t":
            paragraph.parts.append(element.text or "")
        elif name in ("tab", "ptab"):
            # Tab stops in the properties of a paragraph have the same name.
            if local_name(element.getparent()) != "tabs":
                paragraph.parts.append(" ")
        elif name in ("br", "cr"):
            paragraph.parts.append("\n")
        elif name == "noBreakHyphen":
            paragraph.parts.append("-")
        elif name == "sym":
            paragraph.parts.append(_symbol(element))
        elif name == "docPr":
            paragraph.parts.append(f" {sensible_title(attribute(element, 'descr'))} ")
        elif name in _NOTES:
            self._noted += 1
            paragraph.parts.append(f" [{self._noted}]")
            paragraph.notes.append((f"[{self._noted}]", self._note(_NOTES[name], attribute(element, "id"))))
        elif name == "commentReference":
            paragraph.notes.append(self._comment(attribute(element, "id")))

    def _finish(self, paragraph: _Paragraph) -> None:
        text = tidy("".join(paragraph.parts))
        style = paragraph.style
        if text and style.list not in ("", "0"):
            text = f"{self._numbers.next(style.list, style.depth)} {text}"
        if self._cells:
            if text:
                self._cells[-1].append(text.replace("\n", " "))
            self._waiting += paragraph.notes
            return
        if style.level:
            self.flow.head(text, style.level)
        else:
            if style.title and not self.title:
                self.title = text
            self.flow.add(text, close=style.list not in ("", "0"))
        self._write_notes(paragraph.notes)

    def _finish_row(self) -> None:
        row = tidy(" ".join(cell for cell in self._rows[-1] if cell))
        self._rows[-1] = []
        if len(self._rows) > 1 and self._cells:  # a table within a cell
            self._cells[-1].append(row)
        else:
            self.flow.add(row, close=True)

    def _write_notes(self, notes: list[tuple[str, str]]) -> None:
        for label, text in notes:
            if text:
                self.flow.add(f"{label} {text}")

    def _note(self, kind: str, id_: str) -> str:
        return self._text_of_entry(kind, id_)[1]

    def _comment(self, id_: str) -> tuple[str, str]:
        author, text = self._text_of_entry("comments", id_)
        return f"Comment by {author}:" if author else "Comment:", text

    def _text_of_entry(self, kind: str, id_: str) -> tuple[str, str]:
        """(author, text) of a note or comment; each is given once, as a file may refer to it without end."""
        if kind not in self._notes:
            root = self._part(kind)
            self._notes[kind] = {
                attribute(entry, "id"): entry for entry in (root if root is not None else ())
            }
        entry = self._notes[kind].pop(id_, None)
        return ("", "") if entry is None else (attribute(entry, "author"), self._text_of(entry))

    def _text_of(self, element: Any) -> str:
        """The text below `element` on its own, in one block."""
        inner = _Word.__new__(_Word)
        inner.__dict__.update(self.__dict__)
        inner.flow, inner._paragraphs, inner._cells, inner._rows, inner._waiting = Flow(), [], [], [], []
        inner._walk(element)
        return inner.flow.text().replace("\n\n", "\n")


def _is_left_out(name: str, element: Any) -> bool:
    if name == "pict":
        return not _has_text_box(element)
    return name in _LEFT_OUT or (name == "r" and _is_hidden(element))


def _is_hidden(run: Any) -> bool:
    for properties in run:
        if local_name(properties) == "rPr":
            return any(
                local_name(part) == "vanish" and attribute(part, "val") not in ("0", "false")
                for part in properties
            )
    return False


def _has_text_box(picture: Any) -> bool:
    """Whether a drawing of the old kind (VML) holds text."""
    return any(local_name(element) == "txbxContent" for element in picture.iter())


def _symbol(element: Any) -> str:
    """A character by its number; those of symbol fonts, in the private area, say nothing without the font."""
    try:
        char = chr(int(attribute(element, "char"), 16))
    except (ValueError, OverflowError):
        return ""
    return "" if "\ue000" <= char <= "\uf8ff" else char
