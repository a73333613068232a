"""LaTeX as readable text: sections as headings, commands as the words in them, formulas as written.

Nothing is compiled and no other file is opened: what `\\input` names is another document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from indexing.documents.formats.blocks import Blocks
from indexing.documents.formats.tex_text import argument, plain_text
from indexing.documents.model import Item
from indexing.documents.source import SourceFile, read_text

__all__ = ["read"]

_VERBATIM = re.compile(r"\\begin\{(verbatim\*?|lstlisting|minted|Verbatim|comment|filecontents\*?)\}")
_SECTION = re.compile(
    r"\\(part|chapter|(?:sub){0,2}section|(?:sub)?paragraph|frametitle)\*?[ \t]*(?:\[[^\]]*\])?[ \t]*\{"
)
_LEVELS = {"part": 1, "chapter": 1, "section": 2, "frametitle": 3, "subsection": 3, "subsubsection": 4}


def read(file: SourceFile) -> Iterator[Item]:
    source = read_text(file)
    blocks = Blocks()
    body = _body(source)
    title = _titled(source, "title")
    metadata = {
        name: words for name in ("author", "date") if (words := _titled(source, name)) and len(words) < 300
    }
    _add_sections(blocks, body, source.count("\n", 0, source.find(body)) + 1)
    yield blocks.item(file, title, metadata)


def _body(source: str) -> str:
    """What stands between the beginning and the end of the document, where they are marked."""
    start = source.find(r"\begin{document}")
    end = source.find(r"\end{document}", max(start, 0))
    return source[start + len(r"\begin{document}") if start >= 0 else 0 : end if end >= 0 else len(source)]


def _titled(source: str, command: str) -> str:
    found = re.search(rf"\\{command}[ \t]*(?:\[[^\]]*\])?[ \t]*\{{", source)
    if not found:
        return ""
    words = plain_text(argument(source, found.end() - 1)[0])
    return " ".join(words.split()) if command == "title" else ", ".join(words.split("\n")).strip()


def _add_sections(blocks: Blocks, body: str, line: int) -> None:
    at = counted = 0
    for found in _SECTION.finditer(body):
        if found.start() < at:
            continue
        _add_text(blocks, body[at : found.start()], line)
        words, at = argument(body, found.end() - 1)
        line += body.count("\n", counted, found.start())
        counted = found.start()
        blocks.add_heading(plain_text(words), _LEVELS.get(found[1], 5), line)
    _add_text(blocks, body[at:], line)


def _add_text(blocks: Blocks, text: str, line: int) -> None:
    """The paragraphs of a section; what is verbatim stays as it is."""
    at = 0
    while found := _VERBATIM.search(text, at):
        end = text.find(f"\\end{{{found[1]}}}", found.end())
        if end < 0:
            break
        _add_paragraphs(blocks, text[at : found.start()], line)
        if found[1] not in ("comment", "filecontents", "filecontents*"):
            inner = text[found.end() : end]
            blocks.add(re.sub(r"^\s*(?:\[[^\]]{0,200}\])?(?:\{[^}]{0,200}\})?[ \t]*\n", "", inner), line)
        at = text.find("}", end) + 1
    _add_paragraphs(blocks, text[at:], line)


def _add_paragraphs(blocks: Blocks, text: str, line: int) -> None:
    for paragraph in re.split(r"\n[ \t]*\n\s*", plain_text(text)):
        blocks.add(re.sub(r"[ \t]*\n[ \t]*", "\n", re.sub(r"[ \t]+", " ", paragraph)).strip(), line)
