"""Books (EPUB 2 and 3): one file is one document, the entries of its table of contents are headings.

A book is a zip container of web pages, read in the order of its spine through `html.py`. Written here: the
library for it is AGPL, and half of it is a list of files.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from html.entities import html5
from typing import Any
from urllib.parse import unquote

from lxml import etree

from indexing.documents.formats.assembly import Heading, assemble
from indexing.documents.formats.html import html_text
from indexing.documents.formats.office_xml import Package, attribute, local_name, open_package, parse_xml
from indexing.documents.formats.titles import sensible_title
from indexing.documents.model import Document, Item
from indexing.documents.source import SourceFile, Unreadable

__all__ = ["read"]

_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document")
_ENTITY = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos);)([A-Za-z][A-Za-z0-9]{1,31};)")
_DEEPEST = 6
# Fonts are made unreadable for other books without protecting the text.
_OBFUSCATED = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")


def read(file: SourceFile) -> Iterator[Item]:
    with open_package(file) as package:
        book = _Book(package, file)
        texts = [book.page_text(page) for page in book.spine]
        headings = book.headings()
        title, author = book.title, book.author
    text, marks = assemble(texts, headings, pages=False)
    if not text:
        raise Unreadable("no text in it")
    metadata = {"author": author} if author else {}
    yield Document(file.name, text, title, metadata, marks=marks)


class _Book:
    """What the package document says: title, author, the pages in their order and the table of contents."""

    def __init__(self, package: Package, file: SourceFile) -> None:
        self._package = package
        self._file = file
        path = _package_document(package)
        root = package.xml(path)
        if root is None:
            raise Unreadable("is a zip container without a book in it")
        self._folder = posixpath.dirname(path)
        self._manifest: dict[str, tuple[str, str, str]] = {}  # path, type, properties by id
        self.title = self.author = ""
        self._ncx = ""
        order: list[str] = []
        for element in root.iter():
            name = local_name(element)
            if name == "item":
                values = (attribute(element, "media-type"), attribute(element, "properties"))
                self._manifest[attribute(element, "id")] = (self._path(attribute(element, "href")), *values)
            elif name == "itemref":
                order.append(attribute(element, "idref"))
            elif name == "spine":
                self._ncx = attribute(element, "toc")
            elif name == "title" and not self.title:
                self.title = sensible_title(element.text)
            elif name == "creator" and not self.author:
                self.author = sensible_title(element.text)
        items = [self._manifest[id_] for id_ in dict.fromkeys(order) if id_ in self._manifest]
        pages = [path for path, kind, what in items if kind in _PAGES and "nav" not in what.split()]
        self.spine = list(dict.fromkeys(pages))  # whatever it is called a second time, it is one page
        self._check_protection()

    def page_text(self, path: str) -> str:
        data = self._package.read(path)
        root = None if data is None else parse_xml(_ENTITY.sub(_character, data), self._file)
        if root is None:
            return ""
        # As HTML again: what XML may close at once (`<title/>`) would swallow the page there.
        return html_text(etree.tostring(root, method="html", encoding="unicode"))[1]

    def headings(self) -> dict[int, list[Heading]]:
        """The entries of the table of contents, by the place of their page in the spine."""
        places = {path: place for place, path in enumerate(self.spine)}
        found: dict[int, list[Heading]] = {}
        for path, heading in self._contents():
            if path in places:
                found.setdefault(places[path], []).append(heading)
        return found

    def _contents(self) -> Iterator[tuple[str, Heading]]:
        navigation = next((path for path, _, what in self._manifest.values() if "nav" in what.split()), "")
        if navigation and (root := self._package.xml(navigation)) is not None:
            yield from _links(root, posixpath.dirname(navigation))
            return
        ncx = self._manifest.get(self._ncx, ("", "", ""))[0]
        if ncx and (root := self._package.xml(ncx)) is not None:
            yield from _points(root, posixpath.dirname(ncx))

    def _check_protection(self) -> None:
        """Raises `Unreadable` where the pages themselves are encrypted."""
        root = self._package.xml("META-INF/encryption.xml")
        algorithm = ""
        for element in root.iter() if root is not None else ():
            if local_name(element) == "EncryptionMethod":
                algorithm = attribute(element, "Algorithm")
            elif local_name(element) == "CipherReference":
                page = unquote(attribute(element, "URI"))
                if algorithm not in _OBFUSCATED and page in self.spine:
                    raise Unreadable("is a book that is protected against copying: it cannot be read")

    def _path(self, href: str) -> str:
        return _resolve(self._folder, href)


def _package_document(package: Package) -> str:
    container = package.xml("META-INF/container.xml")
    for element in container.iter() if container is not None else ():
        if local_name(element) == "rootfile" and package.has(attribute(element, "full-path")):
            return attribute(element, "full-path")
    found = next((name for name in package.names() if name.lower().endswith(".opf")), "")
    if not found:
        raise Unreadable("is a zip container without a book in it")
    return found


def _links(root: Any, folder: str) -> Iterator[tuple[str, Heading]]:
    """The links of the first list called a table of contents (EPUB 3); their level is that of their list."""
    contents = [element for element in root.iter() if local_name(element) == "nav"]
    contents = [nav for nav in contents if "toc" in attribute(nav, "type").split()] or contents[:1]
    depth = 0
    for event, element in etree.iterwalk(contents[0], events=("start", "end")) if contents else ():
        name = local_name(element)
        if name == "ol":
            depth += 1 if event == "start" else -1
        elif name == "a" and event == "start":
            words = " ".join("".join(element.itertext()).split())
            if words:
                yield (
                    _resolve(folder, attribute(element, "href")),
                    Heading(words, min(max(depth, 1), _DEEPEST)),
                )


def _points(root: Any, folder: str) -> Iterator[tuple[str, Heading]]:
    """The points of a map of navigation (EPUB 2)."""
    depth, words = 0, ""
    for event, element in etree.iterwalk(root, events=("start", "end")):
        name = local_name(element)
        if name == "navPoint":
            depth += 1 if event == "start" else -1
        elif name == "navLabel" and event == "start":
            words = " ".join("".join(element.itertext()).split())
        elif name == "content" and event == "start" and words and depth:
            yield _resolve(folder, attribute(element, "src")), Heading(words, min(depth, _DEEPEST))


def _resolve(folder: str, href: str) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(href.partition("#")[0])))


def _character(match: re.Match[bytes]) -> bytes:
    """An entity of HTML as its character: XML knows five of them, and pages come without their DTD."""
    char = html5.get(match[1].decode())
    return match[0] if char is None else char.encode("ascii", "xmlcharrefreplace")
