"""One module per file format, each with `read(file) -> Iterator[Document | Skipped]`.

A module is imported when its first file is read, so that a folder of text needs no HTML parser. Readers
never raise for what is in a file: the one broken line, or the whole file, becomes `Skipped`.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator

from indexing.documents.formats.bounded import bounded_items
from indexing.documents.formats.registry import EXTENSIONS, format_of
from indexing.documents.model import NO_TEXT, Item, Skipped
from indexing.documents.source import SourceFile, Unreadable

__all__ = ["EXTENSIONS", "READERS", "format_of", "read_file"]

logger = logging.getLogger(__name__)

READERS = 1
"""Rises when a reader gives another text than before: files that have not changed are read once more then."""


def read_file(file: SourceFile) -> Iterator[Item]:
    """Read one file. Whatever its parser raises ends this file with `Skipped`, and only this file."""
    try:
        reader = importlib.import_module(f"{__name__}.{file.format}")
        empty = True
        for item in bounded_items(reader.read(file), file):
            empty = False
            yield item
        if empty and file.part is None:
            yield Skipped(file.source, None, NO_TEXT)
    except Unreadable as error:
        yield Skipped(file.source, None, str(error))
    except OSError as error:
        yield Skipped(file.source, None, f"cannot be read: {error.strerror or _first_line(error)}")
    except MemoryError:
        yield Skipped(file.source, None, "needs more memory to parse than one file is allowed")
    except Exception as error:  # the border to foreign data: parsers raise what they like
        logger.debug("cannot parse %s", file.source, exc_info=True)
        yield Skipped(file.source, None, f"cannot be parsed: {_first_line(error)}")


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
