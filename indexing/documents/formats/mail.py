"""Mail files: .eml, a mbox of many letters (one document each), Apple's .emlx, saved web pages (.mht)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from indexing.documents.formats.letters import letter_items
from indexing.documents.formats.members import Names
from indexing.documents.formats.mime import parse_letter
from indexing.documents.model import Item
from indexing.documents.source import SourceFile, read_data

__all__ = ["read"]

_MAX_LETTER = 64 * 2**20
_SINGLE = (".eml", ".emlx", ".mht", ".mhtml")
_BEGINS = re.compile(rb"From .*\d\d?:\d\d")  # the line before a letter in a mbox: sender and time
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)


def read(file: SourceFile) -> Iterator[Item]:
    with file.open() as stream:
        many = stream.peek(5)[:5] == b"From "
    if many and not file.path.lower().endswith(_SINGLE):
        yield from _read_many(file)
        return
    data = read_data(file)
    if many or file.path.lower().endswith(".emlx"):
        data = data.partition(b"\n")[2]  # the line of a mbox, or the length that Apple's Mail writes first
    yield from letter_items(file, parse_letter(data))


def _read_many(file: SourceFile) -> Iterator[Item]:
    keys = Names()
    for number, data in enumerate(_letters(file), start=1):
        letter = parse_letter(data)
        yield from letter_items(file, letter, keys.give(letter.id.replace("/", "_") or str(number)))


def _letters(file: SourceFile) -> Iterator[bytes]:
    """Each letter of a mbox without the line that begins it. Lines of text that begin so are quoted there."""
    lines: list[bytes] = []
    size, blank = 0, True
    with file.open() as stream:
        for line in stream:
            file.bytes_read += len(line)
            if blank and line.startswith(b"From ") and _BEGINS.match(line):
                if lines:
                    yield _QUOTED_FROM.sub(rb"\1", b"".join(lines))
                lines, size = [], 0
            elif (size := size + len(line)) <= _MAX_LETTER:
                lines.append(line)
            else:
                file.note(f"a letter of more than {_MAX_LETTER // 2**20} MiB was cut there")
            blank = not line.strip()
    if lines:
        yield _QUOTED_FROM.sub(rb"\1", b"".join(lines))
