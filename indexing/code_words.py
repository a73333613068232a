"""What is embedded of source code: its identifiers as the words they are made of.

A model knows `compute`, `retry` and `delay`, and makes fragments of `computeRetryDelay`. What a symbol is
called says most of what it does, so its words stand before its text as well, the last part of the name once
more. For questions made of the comments of 6,700 functions, each to be found by its code without the
comment, the mean reciprocal rank of the bundled model rose in all of eight languages: Java 0.45 to 0.57,
PHP 0.50 to 0.63, Go 0.48 to 0.56, JavaScript 0.42 to 0.52, Kotlin 0.55 to 0.62, Python 0.56 to 0.62, Ruby
0.52 to 0.54, TypeScript 0.31 to 0.34. Names asked as they are written were found as well as before or
better: the title keeps them.
"""

from __future__ import annotations

import re

from indexing.documents.formats.registry import format_of

__all__ = ["code_passage", "is_code_title"]

_TITLE = re.compile(r"(?:(?P<symbol>\S.*) \()?(?P<file>[^()/]+\.\w+)\)?", re.DOTALL)
_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_APART = re.compile(r"[\W_]+")


def is_code_title(title: str) -> bool:
    """Whether a document is source code: its title is the name of a file, or a symbol and that name."""
    found = _TITLE.fullmatch(title)
    return found is not None and format_of(found["file"]) == "code"


def code_passage(title: str, text: str) -> str:
    """What is embedded of a passage of source code under its title."""
    found = _TITLE.fullmatch(title)
    symbol = found["symbol"] if found else None
    if symbol:
        words = _APART.sub(" ", _split(symbol)).strip()
        name = _APART.sub(" ", _split(symbol.rpartition(".")[2])).strip()
        title = f"{title} {words} {name}"
    return f"{title}\n{_split(text)}"


def _split(text: str) -> str:
    return _BORDER.sub(" ", text)
