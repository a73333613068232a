"""JSON objects, one a line: `id`/`_id`, a text field, `title`, and what else there is. BEIR's corpus.jsonl is
this, and what `stlib export` writes. `indexing.documents.fields` says what becomes of the fields.

Several objects on one line, objects over several lines and one array of objects are read too: a file whose
first line is no whole value is read as a stream of them. A broken line is skipped with its number; the lines
after it are read. NaN and Infinity, which many programs write although JSON has no such numbers, are left out
of the metadata and said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from json.scanner import make_scanner
from typing import Any, TypeAlias

from indexing.documents.fields import NoText, Rows, UnknownField, check_named
from indexing.documents.model import Item, Skipped
from indexing.documents.source import MAX_WHOLE_FILE, SourceFile, Unreadable, text_lines

__all__ = ["Record", "is_lines", "read", "read_stream"]

_KINDS = {list: "an array", str: "a string", int: "a number", float: "a number", bool: "a boolean"}
# A value of a file: the line it begins on, which value of that line it is, from 1, and the value, or what is
# wrong with it.
Record: TypeAlias = "tuple[int, int, Any, str]"

_SAMPLE = 100  # rows that are looked at for the names that a person gave
# Strings, because brackets in them do not count; one that is never closed takes the rest of its line.
_BRACKET = re.compile(r'"[^"\\]*(?:\\[\s\S][^"\\]*)*(?:"|\\?\Z)|[{}\[\]]')


def read(file: SourceFile) -> Iterator[Item]:
    if file.part is not None:  # of a file of which `is_lines` was true
        lines = enumerate(text_lines(file), start=file.part.first)
        yield from _documents(file, _read_lines(lines))
        return
    _, records = _open(file)
    yield from _documents(file, records)


def is_lines(file: SourceFile) -> bool:
    """Whether a file has a value in each line, by its beginning, so that it can be read in parts. Raises
    `Unreadable` where `read` does.
    """
    streamed, records = _open(file)
    next(records, None)
    return not streamed


def _open(file: SourceFile) -> tuple[bool, Iterator[Record]]:
    """Whether values go over lines, and the values."""
    numbered = enumerate(text_lines(file), start=1)
    first = next(((line, text) for line, text in numbered if not text.isspace()), None)
    if first is None:
        raise Unreadable("no text in it")
    lines = chain([first], numbered)
    streamed = _begins_stream(first[1])
    records = read_stream(lines) if streamed else _read_lines(lines)
    options = file.options
    if options.text_fields or options.title_field or options.id_field:
        records = _check_names(file, records)
    return streamed, records


def _documents(file: SourceFile, records: Iterable[Record]) -> Iterator[Item]:
    rows = Rows(file.options, file.note, place=file.name)
    for line, number, value, reason in records:
        try:
            if reason or type(value) is not dict:
                raise NoText(reason or f"expected a JSON object, found {_KINDS.get(type(value), 'null')}")
            yield rows.document(value, "" if number == 1 else f"{file.name}#{line}.{number}", line)
        except NoText as error:
            yield Skipped(file.source, line, str(error))


def _read_lines(lines: Iterable[tuple[int, str]]) -> Iterator[Record]:
    """One value a line; several on a line are read as far as they can be told apart."""
    decoder = json.JSONDecoder()
    decode, scan = decoder.decode, make_scanner(decoder)  # type: ignore[arg-type]  # misnamed in the stubs
    for line, text in lines:
        try:
            value, end = scan(text, 0)  # what `decode` does between two looks for blanks
            if text[end:] != "\n":
                value = decode(text)
            yield line, 1, value, ""
        except StopIteration:
            if not text.isspace():
                yield line, 1, *_decoded(decode, text)
        except (RecursionError, ValueError) as error:
            several = list(read_stream([(line, text)])) if "Extra data" in str(error) else []
            if len(several) > 1 and not any(reason for *_, reason in several):
                yield from several
            else:
                yield line, 1, None, _reason(error, len(text.rstrip()))


def _decoded(decode: Callable[[str], Any], text: str) -> tuple[Any, str]:
    """A value that blanks stand before, or what is wrong with it."""
    try:
        return decode(text), ""
    except (RecursionError, ValueError) as error:
        return None, _reason(error, len(text.rstrip()))


def read_stream(lines: Iterable[tuple[int, str]]) -> Iterator[Record]:
    """The objects of an array, or objects that follow each other, over any number of lines.

    Where an object ends is told by its brackets; what is in it is parsed then. Raises `Unreadable` for one of
    more characters than a document may have.
    """
    decode = json.JSONDecoder().decode
    pending: list[str] = []  # pieces of the object that is being read
    begins = depth = number = characters = 0
    base = 0  # 1 inside an array of objects
    line = 1
    for line, text in lines:
        number = 0
        start = 0 if pending else len(text)
        for found in _BRACKET.finditer(text):
            bracket = found.group()
            if bracket[0] == '"':
                continue
            if bracket in "{[":
                if depth == base == 0 and bracket == "[":
                    base = 1
                elif depth == base:
                    begins, start = line, found.start()
                depth += 1
            elif depth > 0:
                depth -= 1
                if depth == 0 and base == 1:
                    base = 0
                elif depth == base:
                    pending.append(text[start : found.end()])
                    number += 1
                    try:
                        yield begins, number, decode("".join(pending)), ""
                    except (RecursionError, ValueError) as error:
                        yield begins, number, None, _reason(error)
                    pending, characters, start = [], 0, len(text)
        if depth > base:
            pending.append(text[start:])
            characters += len(text) - start
            if characters > MAX_WHOLE_FILE:
                raise Unreadable(f"the JSON object of line {begins} is longer than a document may be")
    if depth > base:
        yield begins, 1, None, f"not valid JSON: ends at line {line}, inside of an object"
    elif depth:
        yield line, 1, None, "not valid JSON: the array that the file begins with is never closed"


def _begins_stream(first: str) -> bool:
    """Whether the first line is the beginning of something longer: an array, or an object of many lines."""
    first = first.strip()
    if not first.startswith(("[", "{")):
        return False
    try:
        return type(json.loads(first)) is list
    except json.JSONDecodeError as error:
        return error.pos >= len(first) or first == "[" or (first[0] == "[" and first.rstrip(",")[-1] in "[{}")
    except (RecursionError, ValueError):
        return False


def _check_names(file: SourceFile, records: Iterator[Record]) -> Iterator[Record]:
    """The same records; raises `Unreadable` if the first of them lack a field that a person named."""
    sample = list(islice(records, _SAMPLE))
    names = [name for _, _, value, _ in sample if type(value) is dict for name in value]
    if names:
        try:
            check_named(file.options, names)
        except UnknownField as error:
            raise Unreadable(str(error)) from None
    yield from sample
    yield from records


def _reason(error: Exception, characters: int | None = None) -> str:
    """What is wrong, in a value of one line if its `characters` are given."""
    if isinstance(error, json.JSONDecodeError):
        one_line = error.lineno == 1 or characters is not None
        column = error.colno if error.lineno == 1 else (characters or 0) + 1
        where = f"column {column}" if one_line else f"its line {error.lineno}, column {error.colno}"
        return f"not valid JSON: {error.msg} at {where}"
    if isinstance(error, RecursionError):
        return "not usable JSON: nested too deeply"
    # Python reads no longer ones, because that takes time to the square.
    return "not usable JSON: a number of more than 4,300 digits"
