"""Office files are zip containers of XML: their members, safely parsed and bounded, and how they relate.

Nothing outside the container is ever opened: external entities, DTDs and the network are off. What a member
unpacks to is bounded before it is parsed, and libxml2 bounds depth and entities itself.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lxml import etree

from indexing.documents.formats.bounded import open_seekable, open_zip, read_bounded, read_member
from indexing.documents.source import SourceFile, Unreadable

__all__ = [
    "Package",
    "Relation",
    "attribute",
    "local_name",
    "open_package",
    "parse_xml",
    "plain_text",
    "read_flat",
]

MOST_XML = 128 * 2**20
"""Bytes of one part as XML; as a tree it takes about ten times as much memory."""
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


class Relation:
    """A link of one part to another: `kind` is the last word of its type (`slide`, `footnotes`)."""

    __slots__ = ("kind", "target")

    def __init__(self, kind: str, target: str) -> None:
        self.kind = kind
        self.target = target


class Package:
    """An open container. `file` gets the notes."""

    def __init__(self, container: zipfile.ZipFile, file: SourceFile) -> None:
        self._container = container
        self._file = file
        self._names = {name.lower(): name for name in container.namelist()}

    def has(self, name: str) -> bool:
        return name.lower() in self._names

    def names(self) -> list[str]:
        return list(self._names.values())

    def read(self, name: str) -> bytes | None:
        """The bytes of a part; None if there is none of that name, whatever the case. Raises `Unreadable`."""
        found = self._names.get(name.lower())
        return None if found is None else read_member(self._container, found, MOST_XML)

    def xml(self, name: str) -> Any:
        """The root element of a part; None where it is missing or no XML. Raises `Unreadable`."""
        data = self.read(name)
        return None if data is None else parse_xml(data, self._file)

    def relations(self, name: str) -> dict[str, Relation]:
        """The parts that the part `name` (empty: the package) links to, by the id of the link."""
        folder, base = posixpath.split(name)
        root = self.xml(posixpath.join(folder, "_rels", f"{base}.rels"))
        found = {}
        for link in root if root is not None else ():
            kind, target = attribute(link, "Type"), attribute(link, "Target")
            if kind and target and attribute(link, "TargetMode") != "External":
                path = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
                found[attribute(link, "Id")] = Relation(kind.rpartition("/")[2], path)
        return found

    def main_part(self, default: str) -> str:
        """The part with the document itself, as Office names it in its relations."""
        for relation in self.relations("").values():
            if relation.kind == "officeDocument" and self.has(relation.target):
                return relation.target
        if not self.has(default):
            raise Unreadable("is a zip container without a document of this kind in it")
        return default

    def properties(self) -> tuple[str, str]:
        """(title, author) as the container's core properties give them."""
        root = self.xml("docProps/core.xml")
        values = {} if root is None else {local_name(entry): entry.text or "" for entry in root}
        return values.get("title", ""), values.get("creator", "")


@contextmanager
def open_package(file: SourceFile) -> Iterator[Package]:
    """The file as a container. Raises `Unreadable`, also for what Office wrote before 2007."""
    if file.size == 0:
        raise Unreadable("no text in it")
    with open_seekable(file) as stream:
        head = stream.read(len(_OLD_OFFICE))
        stream.seek(0)
        if head == _OLD_OFFICE:
            raise Unreadable(
                "is encrypted, or of an Office before 2007; save it in today's format without a password"
            )
        with open_zip(stream, file.size) as container:
            yield Package(container, file)
            file.bytes_read = file.size


def read_flat(file: SourceFile) -> Any:
    """The root element of a file that is one XML document. Raises `Unreadable`."""
    with file.open() as stream:
        return parse_xml(read_bounded(stream, MOST_XML), file)


def parse_xml(data: bytes, file: SourceFile) -> Any:
    """The root element; None for what is no XML at all. What follows a fault is kept, and `file` notes it."""
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        recover=True,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError:
        root = None
    if any(error.level >= etree.ErrorLevels.FATAL for error in parser.error_log):
        file.note("is damaged in places: what could be read of it was")
    return root


def local_name(element: Any) -> str:
    """The name of an element without its namespace; "" for what is no element (an entity)."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Any, name: str) -> str:
    """The value of an attribute, whatever its namespace; "" if it has none of that name."""
    value = element.get(name)
    if value is not None:
        return value
    return next((value for key, value in element.items() if key.rpartition("}")[2] == name), "")


def plain_text(element: Any, text: str = "t", paragraph: str = "p") -> str:
    """The text of the elements named `text` below `element`, a line for each `paragraph`."""
    lines: list[str] = []
    parts: list[str] = []
    for _, node in etree.iterwalk(element, events=("end",)):
        name = local_name(node)
        if name == text:
            parts.append(node.text or "")
        elif name == paragraph:
            lines.append("".join(parts))
            parts = []
        elif name in ("tab", "br", "line-break"):
            parts.append(" ")
    return "\n".join(line for line in [*lines, "".join(parts)] if line.strip())
