"""Jupyter notebooks: Markdown as text, code as it is, and what it printed. Pictures and HTML are left out.

Read as the JSON that they are; versions 3 and 4 of the format differ in few names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from indexing.documents.formats.blocks import Blocks
from indexing.documents.formats.markdown import markdown_text
from indexing.documents.model import Item
from indexing.documents.source import SourceFile, Unreadable, read_text

__all__ = ["read"]

_MOST_OUTPUT = (
    4_000  # characters of one output: what a program prints without end says no more than its beginning
)
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")  # colours of a terminal
_REPR = re.compile(r"<[\w.]+(?: [^<>\n]*)?>|\[<[^\n]*>\]")  # `<Figure size 640x480 with 1 Axes>`


def read(file: SourceFile) -> Iterator[Item]:
    try:
        book = json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"is not a notebook: {error}") from error
    cells = _cells(book)
    if cells is None:
        raise Unreadable("is not a notebook: it has no list of cells")
    blocks = Blocks()
    for cell in cells:
        if isinstance(cell, dict):
            _add_cell(blocks, cell)
    metadata = book.get("metadata")
    title = metadata.get("title") if isinstance(metadata, dict) else None
    yield blocks.item(file, title if isinstance(title, str) else "", _language(metadata))


def _cells(book: Any) -> list[Any] | None:
    if not isinstance(book, dict):
        return None
    sheets = book.get("worksheets")  # version 3
    if isinstance(sheets, list):
        return [cell for sheet in sheets if isinstance(sheet, dict) for cell in _list(sheet.get("cells"))]
    cells = book.get("cells")
    return cells if isinstance(cells, list) else None


def _add_cell(blocks: Blocks, cell: dict[str, Any]) -> None:
    kind = cell.get("cell_type")
    source = _joined(cell.get("source", cell.get("input")))
    if kind == "markdown":
        _add_markdown(blocks, source)
    elif kind == "heading":
        level = cell.get("level")
        blocks.add_heading(source, level if isinstance(level, int) and 1 <= level <= 6 else 1)
    else:
        blocks.add(source)
        for output in _list(cell.get("outputs")):
            if isinstance(output, dict):
                blocks.add(_output(output))


def _add_markdown(blocks: Blocks, source: str) -> None:
    """Parts between headings, so that each heading is a mark."""
    for part in re.split(r"(?m)^(?=#{1,6} )", source):
        first, _, rest = part.partition("\n")
        heading = re.match(r"(#{1,6}) +(.*?)[ #]*$", first)
        if heading:
            blocks.add_heading(markdown_text(heading[2])[1], len(heading[1]))
            part = rest
        if part.strip():
            blocks.add(markdown_text(part)[1])


def _output(output: dict[str, Any]) -> str:
    if output.get("output_type") in ("error", "pyerr"):
        return f"{_joined(output.get('ename'))}: {_joined(output.get('evalue'))}"[:_MOST_OUTPUT]
    data = output.get("data")
    text = _joined(output.get("text") or (data.get("text/plain") if isinstance(data, dict) else None))
    text = _ESCAPES.sub("", text[: 2 * _MOST_OUTPUT])[:_MOST_OUTPUT]
    # A progress bar writes each state over the last.
    text = "\n".join(line.rpartition("\r")[2] for line in text.split("\n"))
    return "" if _REPR.fullmatch(text.strip()) else text


def _language(metadata: Any) -> dict[str, str]:
    """The language of the code, as the notebook tells it."""
    for name in ("kernelspec", "language_info"):
        told = metadata.get(name) if isinstance(metadata, dict) else None
        value = told.get("language" if name == "kernelspec" else "name") if isinstance(told, dict) else None
        if isinstance(value, str) and value:
            return {"language": value.lower()}
    return {}


def _joined(value: Any) -> str:
    if isinstance(value, list):
        return "".join(piece for piece in value if isinstance(piece, str))
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
