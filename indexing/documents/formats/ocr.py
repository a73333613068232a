"""Scanned pages through tesseract, where a person has installed it: it is never asked for, only used.

Each page is a picture of its own for a process of its own, so that a page on which it hangs costs that page.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import pypdfium2

from indexing.documents.formats.pdf_lines import HYPHEN

__all__ = ["find_tesseract", "read_pages"]

# The parent waits a minute for a file that sends nothing. A page takes one to three seconds.
MOST_SECONDS = 40.0
MOST_SECONDS_A_PAGE = 15.0
# What tesseract was trained on is 300 dots per inch; 200 is nearly as right and twice as fast.
_DOTS_PER_INCH = 200
_MOST_PIXELS = 5000 * 5000
# More languages at once cost time and make each other worse.
_MOST_LANGUAGES = 4
_NO_LANGUAGES = ("osd", "equ", "snum")
_DIVIDED = re.compile(r"(?<=\w)[-\u2010\xad]\n(?=[^\W\d_])")


@lru_cache(maxsize=1)
def find_tesseract() -> tuple[str, str] | None:
    """(its path, the languages it has as it takes them, `deu+eng`), or None where it is not on PATH."""
    path = shutil.which("tesseract")
    if path is None:
        return None
    listed = _run([path, "--list-langs"], b"", MOST_SECONDS_A_PAGE) or ""
    languages = [line.strip() for line in listed.split("\n")[1:]]
    languages = [name for name in languages if re.fullmatch(r"\w+", name) and name not in _NO_LANGUAGES]
    return (path, "+".join(languages[:_MOST_LANGUAGES])) if languages else None


def read_pages(pdf: Any, numbers: Iterable[int]) -> dict[int, str]:
    """The text on those pages (from 0) of a `pypdfium2.PdfDocument`, by number.

    Pages that are not reached in `MOST_SECONDS`, or on which tesseract fails, are missing. Divided words have
    `HYPHEN` where the line ended.
    """
    tesseract = find_tesseract()
    assert tesseract is not None
    path, languages = tesseract
    texts: dict[int, str] = {}
    end = time.monotonic() + MOST_SECONDS
    for number in numbers:
        left = min(end - time.monotonic(), MOST_SECONDS_A_PAGE)
        picture = _picture(pdf, number) if left > 0 else b""
        if picture:
            found = _run([path, "stdin", "stdout", "-l", languages], picture, left)
            if found is not None:
                texts[number] = _flowing(found)
    return texts


def _picture(pdf: Any, number: int) -> bytes:
    """The page as a grey PGM picture; empty if it cannot be drawn."""
    try:
        page = pdf[number]
        width, height = page.get_size()
        scale = _DOTS_PER_INCH / 72
        scale *= min(1.0, (_MOST_PIXELS / max(width * height * scale**2, 1)) ** 0.5)
        bitmap = page.render(scale=scale, grayscale=True)
    except pypdfium2.PdfiumError:
        return b""
    pixels = bitmap.to_numpy()
    head = f"P5 {pixels.shape[1]} {pixels.shape[0]} 255\n".encode()
    picture = head + pixels.tobytes()
    bitmap.close()
    page.close()
    return picture


def _run(command: list[str], data: bytes, seconds: float) -> str | None:
    """What the command prints; None if it fails or takes longer."""
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    try:
        done = subprocess.run(  # noqa: S603 - the program a person has on PATH, no shell, data on stdin
            command, input=data, capture_output=True, timeout=seconds, env=environment, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def _flowing(text: str) -> str:
    """Lines joined within the paragraphs that tesseract parts by blank lines."""
    text = _DIVIDED.sub(HYPHEN, text.replace("\f", ""))
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    return "\n\n".join(part for part in paragraphs if part)
