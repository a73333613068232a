"""PowerPoint presentations (PPTX, PPTM, PPSX, POTX): one file is one document, a slide is a page of it.

A slide's title is a heading; text boxes, tables, charts and diagrams follow in their order, then its notes
and comments. Dates, footers and numbers that each slide repeats are left out, and what the layout shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from indexing.documents.formats.flow import Flow
from indexing.documents.formats.office_xml import Package, attribute, local_name, open_package, plain_text
from indexing.documents.formats.titles import sensible_title
from indexing.documents.model import Document, Item
from indexing.documents.source import SourceFile, Unreadable

__all__ = ["read"]

_SHAPES = frozenset(("sp", "graphicFrame", "pic", "cxnSp"))
_TITLES = ("title", "ctrTitle")
_REPEATED = ("dt", "ftr", "sldNum", "hdr", "sldImg")
_SLIDE = re.compile(r"ppt/slides/slide(\d+)\.xml", re.IGNORECASE)


def read(file: SourceFile) -> Iterator[Item]:
    flow = Flow()
    with open_package(file) as package:
        for number, name in enumerate(_slides(package), start=1):
            flow.mark("page", number)
            _read_slide(package, name, flow)
        title, author = package.properties()
    text, marks = flow.text(), flow.marks()
    if not text:
        raise Unreadable("no text in it")
    first = next((str(mark.value) for mark in marks if mark.kind == "heading"), "")
    author = sensible_title(author)
    title = sensible_title(title) or sensible_title(first)
    yield Document(file.name, text, title, {"author": author} if author else {}, marks=marks)


def _slides(package: Package) -> list[str]:
    """The parts with the slides in the order of the show; by their numbers where that is lost."""
    main = package.main_part("ppt/presentation.xml")
    links = package.relations(main)
    root = package.xml(main)
    names = []
    for element in root.iter() if root is not None else ():
        if local_name(element) == "sldId":
            link = next((value for key, value in element.items() if key.endswith("}id")), "")
            if link in links and package.has(links[link].target):
                names.append(links[link].target)
    if names:
        return list(dict.fromkeys(names))
    numbered = [(int(found[1][:9]), name) for name in package.names() if (found := _SLIDE.fullmatch(name))]
    return [name for _, name in sorted(numbered)]


def _read_slide(package: Package, name: str, flow: Flow) -> None:
    root = package.xml(name)
    if root is None:
        return
    shapes = list(_shapes(root))
    for shape in shapes:
        if _placeholder(shape) in _TITLES:
            flow.head(plain_text(shape), 1)
    for shape in shapes:
        if _placeholder(shape) not in (*_TITLES, *_REPEATED):
            _add_shape(shape, flow)
    for relation in package.relations(name).values():
        if relation.kind in ("chart", "chartEx", "diagramData"):
            _add_drawn(package.xml(relation.target), flow)
        elif relation.kind == "notesSlide":
            _add_notes(package.xml(relation.target), flow)
        elif relation.kind == "comments":
            _add_comments(package.xml(relation.target), flow)


def _shapes(root: Any) -> Iterator[Any]:
    """The shapes of a slide, those in groups too, without the second form of what has two."""
    walk = etree.iterwalk(root, events=("start",))
    for _, element in walk:
        name = local_name(element)
        if name == "Fallback":
            walk.skip_subtree()
        elif name in _SHAPES:
            yield element
            walk.skip_subtree()


def _placeholder(shape: Any) -> str:
    """What a shape stands for in its layout: title, body, sldNum; "" if it is one of its own."""
    return next((attribute(part, "type") for part in shape.iter() if local_name(part) == "ph"), "")


def _add_shape(shape: Any, flow: Flow) -> None:
    rows = [part for part in shape.iter() if local_name(part) == "tr"]
    if rows:
        for row in rows:
            cells = (plain_text(cell).replace("\n", " ") for cell in row if local_name(cell) == "tc")
            flow.add(" ".join(cell for cell in cells if cell), close=True)
    else:
        flow.add(plain_text(shape))
    for part in shape.iter():
        if local_name(part) == "cNvPr":
            flow.add(sensible_title(attribute(part, "descr")))


def _add_drawn(root: Any, flow: Flow) -> None:
    """The words of a chart (titles, names of series and categories) or of a diagram."""
    if root is None:
        return
    flow.add(plain_text(root))
    caches = (cache for cache in root.iter() if local_name(cache) == "strCache")
    texts = (" ".join(v.text or "" for v in cache.iter() if local_name(v) == "v") for cache in caches)
    for text in dict.fromkeys(texts):  # each series names its categories again
        flow.add(text, close=True)


def _add_notes(root: Any, flow: Flow) -> None:
    for shape in _shapes(root) if root is not None else ():
        if _placeholder(shape) not in _REPEATED:
            flow.add(plain_text(shape))


def _add_comments(root: Any, flow: Flow) -> None:
    for comment in root if root is not None else ():
        text = plain_text(comment) or plain_text(comment, text="text")
        flow.add(f"Comment: {text}" if text else "")
