"""The process that draws one page: reads the file from standard input, writes a line of JSON and a PNG."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from app.pictures.matching import find_passage

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

__all__ = ["main"]

_LONGEST_SIDE = 1500  # pixels: sharp on a screen twice as dense as the page is wide
_MOST_SCALE = 2.5  # of 72 dots per inch
_MOST_CHARACTERS = 100_000  # of a page that are looked at
_MARK = (255, 214, 64)


def main(page: int, passage: str, memory: int, seconds: float) -> None:
    """Draws `page`, from 1, or the last one. Limits: bytes of address space, seconds of processor time."""
    limit_resources(memory, seconds)
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints cannot garble the answer
    import pypdfium2

    document = pypdfium2.PdfDocument(sys.stdin.buffer.read())
    pages = len(document)
    index = min(max(page, 1), pages) - 1
    picture, marked = draw(document[index], passage)
    output.write(json.dumps({"page": index + 1, "pages": pages, "marked": marked}).encode() + b"\n")
    picture.save(output, "PNG", compress_level=3)
    output.flush()
    os._exit(0)


def limit_resources(memory: int, seconds: float) -> None:
    """It may use so much, and write no file."""
    if resource is None:
        return
    limits = {"RLIMIT_CORE": 0, "RLIMIT_FSIZE": 0, "RLIMIT_AS": memory, "RLIMIT_CPU": int(seconds) + 1}
    for name, limit in limits.items():
        number = getattr(resource, name)
        _, hard = resource.getrlimit(number)
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        try:
            resource.setrlimit(number, (limit, hard))
        except (OSError, ValueError):  # macOS knows the limit of memory and refuses to set it
            continue


def draw(page: Any, passage: str) -> tuple[Any, bool]:
    """(picture, whether something on it is marked)."""
    width, height = page.get_size()
    scale = min(_MOST_SCALE, _LONGEST_SIDE / max(width, height, 1))
    bitmap = page.render(scale=scale)
    boxes = list(_boxes(page, passage, bitmap.width, bitmap.height)) if passage.strip() else []
    picture = bitmap.to_pil().convert("RGB")
    return mark_boxes(picture, boxes), bool(boxes)


def mark_boxes(picture: Any, boxes: list[tuple[int, int, int, int]]) -> Any:
    """As a text marker does: what is dark stays dark."""
    from PIL import Image, ImageChops

    marks = Image.new("RGB", picture.size, "white")
    for box in boxes:
        marks.paste(_MARK, box)
    return ImageChops.multiply(picture, marks)


def _boxes(page: Any, passage: str, width: int, height: int) -> Iterator[tuple[int, int, int, int]]:
    """Where the passage stands, in pixels (left, top, right, bottom) of a picture of that size."""
    import pypdfium2.raw as pdfium

    text = page.get_textpage()
    count = min(text.count_chars(), _MOST_CHARACTERS)
    # One by one: the characters of the whole text are not counted as rectangles count them.
    characters = [chr(pdfium.FPDFText_GetUnicode(text, at) or 32) for at in range(count)]
    for start, end in find_passage(characters, passage):
        for at in range(text.count_rects(start, end - start)):
            left, bottom, right, top = text.get_rect(at)
            corners = [_pixel(page, x, y, width, height) for x, y in ((left, top), (right, bottom))]
            across, down = (sorted(pair) for pair in zip(*corners, strict=True))
            yield (
                max(0, across[0] - 1),
                max(0, down[0] - 1),
                min(width, across[1] + 1),
                min(height, down[1] + 1),
            )


def _pixel(page: Any, x: float, y: float, width: int, height: int) -> tuple[int, int]:
    """A point of the page as it is drawn, cut and turned."""
    import pypdfium2.raw as pdfium

    across, down = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDF_PageToDevice(page, 0, 0, width, height, 0, x, y, across, down)
    return across.value, down.value
