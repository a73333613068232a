"""OpenDocument texts, presentations and drawings (ODT, ODP, ODG; as one XML file FODT, FODP, FODG).

One file is one document; headings are marks, a slide is a page. Notes and comments stand after the
paragraph that they belong to, lists have bullets or numbers, headers and footers come once at the end.
Tracked deletions and hidden text are left out. README.md here says why not one of the libraries.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lxml import etree

from indexing.documents.formats.flow import Flow, tidy
from indexing.documents.formats.odf_lists import Lists, read_list_styles
from indexing.documents.formats.office_xml import Package, attribute, local_name, open_package, read_flat
from indexing.documents.formats.titles import sensible_title
from indexing.documents.model import Document, Item
from indexing.documents.source import SourceFile, Unreadable
from indexing.documents.unpack import unpacked_name

__all__ = ["check_encryption", "read", "read_meta"]

# Deletions, templates of indexes, code, hidden fields, reading aids, cells below those that were merged.
_LEFT_OUT = frozenset(
    (
        "tracked-changes script event-listeners forms hidden-text ruby-text covered-table-cell binary-data "
        "variable-decls sequence-decls user-field-decls meta settings font-face-decls "
        "table-of-content-source alphabetical-index-source illustration-index-source table-index-source "
        "object-index-source user-index-source bibliography-source"
    ).split()
)
_REPEATED = ("page-number", "date-time", "footer", "header")
_MOST_BLANKS = 100
_MARGINS = frozenset(("header", "footer", "header-left", "footer-left", "header-first", "footer-first"))


def read(file: SourceFile) -> Iterator[Item]:
    flow = Flow()
    if file.size == 0:
        raise Unreadable("no text in it")
    if unpacked_name(file.path).lower().endswith((".fodt", ".fodp", ".fodg")):
        root = read_flat(file)
        parts = [root]
        title, author = read_meta(root)
    else:
        with open_package(file) as package:
            check_encryption(package)
            if not package.has("content.xml"):
                raise Unreadable("is a zip container without a document of this kind in it")
            parts = [package.xml("content.xml"), package.xml("styles.xml")]
            title, author = read_meta(package.xml("meta.xml"))
    _read_body(parts[0], parts[-1], flow)
    _read_margins(parts[-1], flow)
    text = flow.text()
    if not text:
        raise Unreadable("no text in it")
    author = sensible_title(author)
    metadata = {"author": author} if author else {}
    yield Document(file.name, text, sensible_title(title), metadata, marks=flow.marks())


def read_meta(root: Any) -> tuple[str, str]:
    """(title, author) of a document; the one who began it before the one who saved it last."""
    found: dict[str, str] = {}
    for element in root.iter() if root is not None else ():
        name = local_name(element)
        if name in ("title", "initial-creator", "creator") and name not in found:
            found[name] = element.text or ""
        if name == "body":
            break
    return found.get("title", ""), found.get("initial-creator") or found.get("creator", "")


def check_encryption(package: Package) -> None:
    """Raises `Unreadable` where the document needs a password."""
    manifest = package.xml("META-INF/manifest.xml")
    if manifest is not None and any(local_name(entry) == "encryption-data" for entry in manifest.iter()):
        raise Unreadable("is encrypted: it needs a password; save a copy without one")


def _read_body(content: Any, styles: Any, flow: Flow) -> None:
    walker = _Walker(flow, Lists(read_list_styles(content) | read_list_styles(styles)))
    for body in content.iter() if content is not None else ():
        if local_name(body) == "body":
            walker.walk(body)
            return


def _read_margins(styles: Any, flow: Flow) -> None:
    """Headers and footers of the pages, each text once."""
    seen = set()
    for element in styles.iter() if styles is not None else ():
        if local_name(element) in _MARGINS:
            text = _text_of(element)
            if text not in seen:
                seen.add(text)
                flow.add(text)


def _text_of(element: Any) -> str:
    flow = Flow()
    _Walker(flow, Lists({})).walk(element)
    return flow.text().replace("\n\n", "\n")


class _Paragraph:
    """One that is being read; `level` of a heading, 0 for none; `item` is the bullet or number before it."""

    def __init__(self, level: int, item: str, in_list: bool) -> None:
        self.level = level
        self.item = item
        self.in_list = in_list
        self.parts: list[str] = []
        self.after: list[str] = []


class _Walker:
    """Goes through elements in order. Inside a paragraph what stands behind an element is text too."""

    def __init__(self, flow: Flow, lists: Lists) -> None:
        self._flow = flow
        self._lists = lists
        self._paragraphs: list[_Paragraph] = []
        self._cells: list[list[str]] = []
        self._rows: list[list[str]] = []
        self._waiting: list[str] = []  # notes of the table that is being read
        self._pages = 0
        self._titles = 0  # depth within the title of a slide

    def walk(self, root: Any) -> None:
        walk = etree.iterwalk(root, events=("start", "end"))
        for event, element in walk:
            name = local_name(element)
            if event == "end":
                self._end(name, element)
                self._add_tail(element, root)
            elif element is not root and self._is_left_out(name, element):
                walk.skip_subtree()  # its end is reported all the same
            else:
                self._start(name, element)

    def _is_left_out(self, name: str, element: Any) -> bool:
        if name in ("note", "annotation"):
            self._set_aside(name, element)
            return True
        if name == "frame" and attribute(element, "class") in _REPEATED:
            return True
        return name in _LEFT_OUT

    def _set_aside(self, name: str, element: Any) -> None:
        """A note or a comment: its mark stays where it is, its text comes after the paragraph."""
        parts = {local_name(part): part for part in element}
        if name == "note":
            body = parts.get("note-body")
            mark = "".join(parts["note-citation"].itertext()) if "note-citation" in parts else ""
            label = f"[{mark.strip()}]"
            if self._paragraphs:
                self._paragraphs[-1].parts.append(f" {label}")
        else:
            body = element
            author = parts["creator"].text if "creator" in parts else ""
            label = f"Comment by {author}:" if author else "Comment:"
        text = "" if body is None else _text_of(body)
        if text:
            target = self._paragraphs[-1].after if self._paragraphs else self._waiting
            target.append(f"{label} {text}")

    def _start(self, name: str, element: Any) -> None:
        if name in ("p", "h"):
            level = _number(attribute(element, "outline-level"), 1, 10) if name == "h" else 0
            item = self._lists.item()
            paragraph = _Paragraph(level or self._titles, item, self._lists.depth > 0)
            paragraph.parts.append(_on_one_line(element.text))
            self._paragraphs.append(paragraph)
        elif name == "list":
            self._lists.open(
                attribute(element, "style-name"), attribute(element, "continue-numbering") == "true"
            )
        elif name in ("list-item", "list-header"):
            self._lists.begin_item(attribute(element, "start-value"), shown=name == "list-item")
        elif name == "table":
            self._rows.append([])
        elif name == "table-cell":
            self._cells.append([])
        elif name == "page":
            self._pages += 1
            self._flow.mark("page", self._pages)
        elif name == "frame" and attribute(element, "class") == "title":
            self._titles = 1
        elif self._paragraphs:
            self._add_inline(name, element, self._paragraphs[-1])

    def _add_inline(self, name: str, element: Any, paragraph: _Paragraph) -> None:
        if name == "s":
            paragraph.parts.append(" " * _number(attribute(element, "c"), 1, _MOST_BLANKS))
        elif name == "tab":
            paragraph.parts.append(" ")
        elif name == "line-break":
            paragraph.parts.append("\n")
        elif name in ("title", "desc"):  # of a picture
            paragraph.parts.append(f" {sensible_title(element.text)} ")
        elif name:  # not an entity
            paragraph.parts.append(_on_one_line(element.text))

    def _add_tail(self, element: Any, root: Any) -> None:
        if self._paragraphs and element is not root:
            self._paragraphs[-1].parts.append(_on_one_line(element.tail))

    def _end(self, name: str, element: Any) -> None:
        if name in ("p", "h") and self._paragraphs:
            self._finish(self._paragraphs.pop())
        elif name == "list":
            self._lists.close()
        elif name == "table-cell" and self._cells and self._rows:
            self._rows[-1].append(" ".join(self._cells.pop()))
        elif name == "table-row" and self._rows:
            self._finish_row()
        elif name == "table" and self._rows:
            self._rows.pop()
            if not self._rows:
                self._write_waiting()
        elif name == "frame":
            self._titles = 0
        elif name == "page":
            self._write_waiting()

    def _finish(self, paragraph: _Paragraph) -> None:
        text = tidy("".join(paragraph.parts))
        if text and paragraph.item:
            text = f"{paragraph.item} {text}"
        if self._cells:
            if text:
                self._cells[-1].append(text.replace("\n", " "))
            self._waiting += paragraph.after
            return
        if paragraph.level:
            self._flow.head(text, paragraph.level)
        else:
            self._flow.add(text, close=paragraph.in_list)
        for note in paragraph.after:
            self._flow.add(note)

    def _finish_row(self) -> None:
        row = tidy(" ".join(cell for cell in self._rows[-1] if cell))
        self._rows[-1] = []
        if len(self._rows) > 1 and self._cells:  # a table within a cell
            self._cells[-1].append(row)
        else:
            self._flow.add(row, close=True)

    def _write_waiting(self) -> None:
        for note in self._waiting:
            self._flow.add(note)
        self._waiting = []


def _on_one_line(text: str | None) -> str:
    """A line break in the XML is a blank; those of the text are elements."""
    return text.replace("\n", " ") if text else ""


def _number(text: str, default: int, most: int) -> int:
    return min(int(text), most) if text.isascii() and text.isdigit() and len(text) < 10 else default
