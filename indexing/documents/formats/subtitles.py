"""Subtitles (.srt, .vtt, .sbv, .ass): what is said, as running text without times, numbers and tags."""

from __future__ import annotations

import re
from collections.abc import Iterator

from indexing.documents.formats.blocks import Blocks
from indexing.documents.model import Item
from indexing.documents.source import SourceFile, read_text

__all__ = ["read"]

_TIME = r"(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}"
_CUE = re.compile(rf"^[ \t]*{_TIME}[ \t]*(?:-->|,)[ \t]*{_TIME}.*$", re.MULTILINE)
_TAG = re.compile(r"</?[A-Za-z][^<>\n]*>|<\d[\d:.]*>|\{\\[^}\n]*\}")
_SPEAKER = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>\n]+)>")
_ENDS = re.compile(r"""[.!?…。！？]["'”’»)\]]*$""")
_CUES_PER_BLOCK = 12


def read(file: SourceFile) -> Iterator[Item]:
    source = read_text(file)
    cues = list(_ass_cues(source)) if file.path.lower().endswith((".ass", ".ssa")) else list(_cues(source))
    blocks = Blocks()
    pending: list[str] = []
    begins, last = 1, ""
    for line, text in cues:
        if text == last:
            continue  # live captions repeat what is still shown
        last = text
        if not pending:
            begins = line
        pending.append(text)
        enough = len(pending) >= _CUES_PER_BLOCK and _ENDS.search(text)
        if enough or len(pending) >= 3 * _CUES_PER_BLOCK:
            blocks.add(" ".join(pending), begins)
            pending = []
    blocks.add(" ".join(pending), begins)
    if not cues and source.strip():
        blocks.add(source, 1)
    yield blocks.item(file)


def _cues(source: str) -> Iterator[tuple[int, str]]:
    """(line of the cue, what is said) for each."""
    found = list(_CUE.finditer(source))
    line, counted = 1, 0
    for number, cue in enumerate(found):
        line += source.count("\n", counted, cue.end())
        counted = cue.end()
        end = found[number + 1].start() if number + 1 < len(found) else len(source)
        block = source[cue.end() : end].lstrip("\n").split("\n\n", 1)[0]
        text = _plain(block)
        if text:
            yield line + 1, text


def _ass_cues(source: str) -> Iterator[tuple[int, str]]:
    """Events of SubStation Alpha: the tenth field and all after it is the text."""
    for number, line in enumerate(source.split("\n"), start=1):
        if line.startswith("Dialogue:"):
            fields = line.split(",", 9)
            text = _plain(re.sub(r"\\[Nnh]", " ", fields[9])) if len(fields) == 10 else ""
            if text:
                yield number, text


def _plain(text: str) -> str:
    text = _TAG.sub("", _SPEAKER.sub(r"\1: ", text))
    for name, char in (
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&nbsp;", " "),
        ("&lrm;", ""),
        ("&rlm;", ""),
        ("&amp;", "&"),
    ):
        text = text.replace(name, char)
    return " ".join(text.split())
