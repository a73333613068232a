"""The name under which a file that somebody brought is kept: one that every system takes for a plain file."""

from __future__ import annotations

import re
import unicodedata

from app.text import plain
from indexing.documents.formats import EXTENSIONS, format_of
from indexing.errors import BadInput

__all__ = ["numbered", "safe_name"]

# File systems take 255 bytes; what is being written has a prefix and a number besides.
_LONGEST = 150
_SEPARATORS = re.compile(r"[/\\]")
_FORBIDDEN = re.compile(r'[<>:"|?*]')  # by Windows
# Names that Windows takes for devices, whatever their extension.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?=\.|$)", re.IGNORECASE)


def safe_name(given: str) -> str:
    """A plain file name made of what a browser says: `../../notes.txt` is `notes.txt`.

    It has no folders, no character that a terminal obeys or nobody sees, is none that Windows takes for a
    device or that is hidden, and has at most 150 bytes with its extension.

    Raises:
        BadInput: the format is none that can be read.
    """
    name = _SEPARATORS.split(given)[-1]
    if format_of(name.rstrip(". ")) in (None, "unnamed"):  # what is sent needs an extension
        raise BadInput(f"this format is not supported; supported: {' '.join(EXTENSIONS)}")
    name = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())
    name = "".join(c for c in name if plain(c) == c and plain(c, prose=True) == c)
    name = _FORBIDDEN.sub("_", " ".join(name.split())).strip(". ")
    stem, dot, extension = name.rpartition(".")
    stem = stem.rstrip(". ") if dot else ""
    if format_of(f"x.{extension}") is None:  # what could not be seen stood in the extension
        raise BadInput(f"this format is not supported; supported: {' '.join(EXTENSIONS)}")
    if not stem:
        stem = "file"
    if _DEVICE.match(stem):
        stem = f"_{stem}"
    return f"{_cut(stem, _LONGEST - len(extension) - 1)}.{extension}"


def numbered(name: str, number: int) -> str:
    """`notes.txt` as `notes (2).txt`."""
    stem, _, extension = name.rpartition(".")
    return f"{_cut(stem, _LONGEST - len(extension) - 10)} ({number}).{extension}"


def _cut(stem: str, longest: int) -> str:
    """At most so many bytes of UTF-8, no character halved."""
    return stem.encode()[:longest].decode("utf-8", "ignore").rstrip(". ")
