"""Source code by symbol: each function and class is a document, with its comments, as it stands in the file.

`client.py#Retry.delay` is the method, `client.py#Retry` the class (a long one without the bodies of its
methods, which are documents themselves) and `client.py` what is left of the file: its docstring, imports,
statements. Where a name comes twice the second is `…~2`. A file that has no symbols, or that the parser
cannot follow, is one document, as is one in a language without a grammar here. What was minified is left out:
it is written for machines, and its text is somewhere else as a person wrote it.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePath

from tree_sitter import Parser, Tree

from indexing.documents.formats.code_grammars import GRAMMARS, LANGUAGES, parser_of
from indexing.documents.formats.code_scans import SCANS
from indexing.documents.formats.code_symbols import Symbol, broken_share, find_symbols
from indexing.documents.marks import Mark
from indexing.documents.model import NO_TEXT, Document, Item, Skipped
from indexing.documents.source import SourceFile, read_text
from indexing.documents.unpack import unpacked_name

__all__ = ["read"]

_WHOLE_CLASS = 2_000  # bytes, about two passages: a class of which its methods are no more than lines
_LEFT_OUT = "…"
_LARGEST_PARSED = 16 * 2**20
_PARSE_SECONDS = 8.0  # a file of the largest size takes four
_PORTION = 1 << 16
_MOST_BROKEN = 0.25  # of the source; what a parser makes of the rest then is not what was meant
_LONGEST_LINE = 1_000
_SHORT = 10_000
_MOST_IN_LONG_LINES = 0.9
_WORD = re.compile(rb"[\w\x80-\xff]")
_ONLY_IN_CPP = re.compile(
    r"^[ \t]*(?:class[ \t]+\w|namespace\b|template[ \t]*<|(?:public|private|protected)[ \t]*:|using[ \t]+\w)",
    re.MULTILINE,
)


def read(file: SourceFile) -> Iterator[Item]:
    text = read_text(file)
    name = PurePath(unpacked_name(file.path)).name
    if not text.strip():
        yield Skipped(file.source, None, NO_TEXT)
    elif _is_minified(text):
        yield Skipped(file.source, None, "is minified: it has lines of thousands of characters")
    else:
        language = _language(PurePath(name).suffix.lower(), text)
        yield from _documents(file, name, language, text.encode("utf-8", "surrogatepass"))


def _documents(file: SourceFile, name: str, language: str, source: bytes) -> Iterator[Document]:
    symbols = _symbols(file, source, language)
    rest = list(_rest(symbols, source)) if symbols else [(0, len(source))]
    if rest:
        text, marks = _build(source, rest, "\n\n")
        yield Document(file.name, text, name, {"kind": "file", "language": language}, marks=marks)
    met: Counter[str] = Counter()
    for symbol in symbols:
        text, marks = _build(source, _parts(source, symbol), _LEFT_OUT)
        met[symbol.name] += 1
        again = f"~{met[symbol.name]}" if met[symbol.name] > 1 else ""
        metadata = {"kind": symbol.kind, "symbol": symbol.name, "language": language}
        title = f"{symbol.name} ({name})"
        yield Document(f"{file.name}#{symbol.name}{again}", text, title, metadata, marks=marks)


def _symbols(file: SourceFile, source: bytes, language: str) -> list[Symbol]:
    if language in SCANS:
        return SCANS[language](source)
    if language not in GRAMMARS or len(source) > _LARGEST_PARSED:
        return []
    try:
        parser = parser_of(language)
    except ImportError:
        file.note(f"was read as text: pip install {GRAMMARS[language].package.replace('_', '-')}")
        return []
    tree = _parse(parser, source)
    if tree is None:
        file.note("was read as text: it took too long to find its functions")
        return []
    return find_symbols(tree, source, language) if broken_share(tree) <= _MOST_BROKEN else []


def _parse(parser: Parser, source: bytes) -> Tree | None:
    """The syntax tree; None where it takes too long. Some grammars take time to the square for what is none
    of their code, such as 100,000 backslashes.
    """
    last = time.process_time() + _PARSE_SECONDS
    try:
        return parser.parse(
            lambda offset, _: source[offset : offset + _PORTION],
            progress_callback=lambda offset, broken: time.process_time() > last,
        )
    except ValueError:
        return None


def _language(extension: str, text: str) -> str:
    """By its extension; a header is C++ where it says so."""
    if extension == ".h" and _ONLY_IN_CPP.search(text):
        return "cpp"
    return LANGUAGES.get(extension, extension.lstrip("."))


def _is_minified(text: str) -> bool:
    if len(text) < _SHORT:
        return False
    in_long_lines = sum(len(line) for line in text.split("\n") if len(line) > _LONGEST_LINE)
    return in_long_lines > _MOST_IN_LONG_LINES * len(text)


def _rest(symbols: Iterable[Symbol], source: bytes) -> Iterator[tuple[int, int]]:
    """What lies between the symbols, without empty lines around it; no brackets that closed one of them."""
    done = 0
    ends = [(symbol.start, symbol.end) for symbol in symbols if not symbol.inner]
    for start, end in [*ends, (len(source), len(source))]:
        between = source[done:start]
        if _WORD.search(between):
            lines = between.lstrip(b"\n")
            begin = start - len(lines)
            yield begin, begin + len(lines.rstrip())
        done = max(done, end)


def _parts(source: bytes, symbol: Symbol) -> Iterator[tuple[int, int]]:
    """The symbol from the beginning of its line, whole, or a long class without the bodies of functions."""
    start = symbol.start
    line = source.rfind(b"\n", max(0, start - _LONGEST_LINE), start) + 1
    if not source[line:start].strip():
        start = line
    if symbol.end - start > _WHOLE_CLASS:
        for begin, end in sorted(symbol.bodies):
            if begin > start:
                yield start, begin
                start = end
    yield start, symbol.end


def _build(source: bytes, parts: Iterable[tuple[int, int]], between: str) -> tuple[str, tuple[Mark, ...]]:
    """The text of the parts, and the lines of the file at which they begin."""
    texts: list[str] = []
    marks: list[Mark] = []
    length, line, counted = 0, 1, 0
    for start, end in parts:
        line += source.count(b"\n", counted, start)
        counted = start
        if texts:
            texts.append(between)
            length += len(between)
        marks.append(Mark(length, "line", line))
        texts.append(source[start:end].decode("utf-8", "surrogatepass"))
        length += len(texts[-1])
    return "".join(texts), tuple(marks)
