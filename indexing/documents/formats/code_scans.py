"""SQL and R, of which no grammar is packaged or only a large one: their definitions are found by scanning."""

from __future__ import annotations

import re
from collections.abc import Callable

from indexing.documents.formats.code_symbols import Symbol

__all__ = ["SCANS"]

_SQL_TOKEN = re.compile(
    rb"""
      --[^\n]* | /\*.*?(?:\*/|\Z)
    | '(?:[^']|'')*(?:'|\Z) | "[^"]*(?:"|\Z) | `[^`]*(?:`|\Z)
    | (?P<dollar> \$ (?P<tag> \w* ) \$ )
    | (?P<word> [A-Za-z_][\w$]* )
    | (?P<stop> ; )
    """,
    re.VERBOSE | re.DOTALL,
)
_CREATE = re.compile(
    rb"""
    (?: \s | --[^\n]*\n | /\*.*?\*/ )*
    CREATE \s+ (?: OR \s+ (?:REPLACE|ALTER) \s+ )?
    (?: (?: TEMP | TEMPORARY | UNLOGGED | GLOBAL | LOCAL | UNIQUE | MATERIALIZED | RECURSIVE | VIRTUAL
          | EXTERNAL | CONSTRAINT | EDITIONABLE | DEFINER \s*=\s* \S+ ) \s+ )*
    (?P<kind> TABLE | VIEW | FUNCTION | PROCEDURE | TRIGGER | INDEX | TYPE | DOMAIN | SEQUENCE | AGGREGATE
        | OPERATOR | PACKAGE | SCHEMA | EXTENSION | ROLE | CAST | POLICY | EVENT )
    (?: \s+ BODY )? (?: \s+ CONCURRENTLY )? (?: \s+ IF \s+ NOT \s+ EXISTS )? \s+
    (?P<name> (?: [\w.$@\#] | "[^"\n]*" | `[^`\n]*` | \[[^\]\n]*\] )+ | [^\s\w(]+ )
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_WITH_STATEMENTS = (b"function", b"procedure", b"trigger", b"package", b"event", b"type")
_SUPERSEDED = (b"if", b"loop", b"while", b"repeat", b"for")  # of "end if": it ends no block of statements

_R_TOKEN = re.compile(
    rb"""\#[^\n]* | "(?:[^"\\]|\\.)*(?:"|\Z) | '(?:[^'\\]|\\.)*(?:'|\Z) | `[^`\n]*` | [{}()\[\]]""",
    re.VERBOSE | re.DOTALL,
)
_R_FUNCTION = re.compile(rb"(?m)^(?P<name>[\w.]+|`[^`\n]+`)[ \t]*(?:<<?-|=)[ \t\n]*function[ \t\n]*\(")
_R_COMMENTS = re.compile(rb"(?:^[ \t]*#[^\n]*\n)+\Z", re.MULTILINE)
_MOST_COMMENTS = 8_000


def _scan_sql(source: bytes) -> list[Symbol]:
    """`CREATE` statements with the comments before them."""
    found: list[Symbol] = []
    start = depth = at = 0
    created = _CREATE.match(source)
    ending = False
    while True:
        token = _SQL_TOKEN.search(source, at)
        if token is None or (token["stop"] and depth == 0):
            end = len(source) if token is None else token.end()
            if created:
                begin = start + len(source[start:end]) - len(source[start:end].lstrip())
                name = re.sub(rb'["`\[\]]', b"", created["name"]).decode("utf-8", "replace")
                found.append(Symbol(name, created["kind"].decode().lower(), begin, end))
            if token is None:
                return found
            start, depth, at, ending = end, 0, end, False
            created = _CREATE.match(source, start)
            continue
        at = token.end()
        if token["dollar"]:
            close = source.find(token["dollar"], at)
            at = close + len(token["dollar"]) if close >= 0 else len(source)
        elif token["word"] and created and created["kind"].lower() in _WITH_STATEMENTS:
            word = token["word"].lower()
            if word == b"end":
                depth, ending = max(0, depth - 1), True
                continue
            if (ending and word in _SUPERSEDED) or (word in (b"begin", b"case") and not ending):
                depth += 1
        ending = False


def _scan_r(source: bytes) -> list[Symbol]:
    """Functions that are assigned to a name at the beginning of a line."""
    found: list[Symbol] = []
    done = 0
    for match in _R_FUNCTION.finditer(source):
        if match.start() < done:
            continue
        done = _end_of_r_function(source, match.end())
        comments = _R_COMMENTS.search(source, max(0, match.start() - _MOST_COMMENTS), match.start())
        name = match["name"].strip(b"`").decode("utf-8", "replace")
        found.append(Symbol(name, "function", comments.start() if comments else match.start(), done))
    return found


def _end_of_r_function(source: bytes, after_bracket: int) -> int:
    """The end of the body: its brackets, or the line."""
    depth, body, at = 1, False, after_bracket
    while token := _R_TOKEN.search(source, at):
        if body and depth == 0 and b"\n" in source[at : token.start()].lstrip():
            break
        at = token.end()
        if token[0] in b"([{":
            depth += 1
        elif token[0] in b")]}":
            depth -= 1
            if depth == 0 and body and token[0] == b"}":
                return at
            body = body or depth == 0
    line = source.find(b"\n", at)
    return len(source) if line < 0 else line


SCANS: dict[str, Callable[[bytes], list[Symbol]]] = {"r": _scan_r, "sql": _scan_sql}
"""Language to what finds its symbols."""
