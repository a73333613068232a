"""Text from outside, made fit to be shown: documents, names of files, fields and collections, messages.

A terminal obeys escape sequences, any screen obeys characters that turn the direction of reading, and some
cannot be seen. They are written out as Python writes them in a literal, `\\x1b` or `\\u202e`: unambiguous,
plain ASCII, and the same as in a name that a message quotes.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

__all__ = ["caret", "columns", "plain", "plain_json", "without_milvus"]

# From where a message of Milvus says its address, or a file of its settings, to the end of the line.
_MILVUS = re.compile(
    r"(?:the connection to )?Milvus(?: Lite)?"
    r"(?: at | cannot be opened at | is needed: |: (?=\S+ cannot be read)).*"
)
_MILVUS_FAILS = "Milvus cannot be used at the moment: the log of the service says why"


# Not here are joiners, soft hyphens and variation selectors, which writing needs and which change no order.
_HIDDEN_CHARACTERS = (
    "\x00-\x1f\x7f-\x9f"  # controls: what a terminal obeys
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks, embeddings, overrides and isolates of direction
    "\u2028\u2029"  # line and paragraph separators
    "\u115f\u1160\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0"  # nothing to see
    "\ufff9-\ufffb"  # annotations that hide what they annotate
    "\U000e0000-\U000e007f"  # tags: invisible ASCII
)
_HIDDEN = re.compile(f"[{_HIDDEN_CHARACTERS}]")
# Prose has lines; marks of direction stand beside punctuation and turn no letter; U+200B parts words.
_HIDDEN_IN_PROSE = re.compile(f"(?![\n\t\u061c\u200b\u200e\u200f])[{_HIDDEN_CHARACTERS}]")
_HIDDEN_IN_JSON = re.compile(f"(?!\n)[{_HIDDEN_CHARACTERS}\ud800-\udfff]")


def plain(text: str, *, prose: bool = False) -> str:
    """`text` on one line, with every character that is obeyed or cannot be seen written out.

    With `prose`, for the text of documents, what ordinary writing has of them stays: line breaks, tabs, marks
    of direction and spaces of no width.
    """
    return (_HIDDEN_IN_PROSE if prose else _HIDDEN).sub(_write_out, text)


def without_milvus(value: Any) -> Any:
    """`value`, of JSON's own types, with a sentence for every message on Milvus that says where it is:
    whoever may ask the service is told no addresses.
    """
    if isinstance(value, str):
        return _MILVUS.sub(_MILVUS_FAILS, value)
    if isinstance(value, dict):
        return {key: without_milvus(inner) for key, inner in value.items()}
    return [without_milvus(inner) for inner in value] if isinstance(value, list | tuple) else value


def plain_json(json: str) -> str:
    """`json` with such characters, and halves of surrogate pairs, as JSON escapes: it says the same.

    Line breaks between its parts stay.
    """
    return _HIDDEN_IN_JSON.sub(_escape_for_json, json)


def columns(text: str) -> int:
    """Terminal columns: East Asian wide characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def caret(text: str, position: int, indent: str = "  ") -> str:
    """`text` with a caret under the character at `position` (its length: after the end): two lines."""
    flat = [" " if c.isspace() else plain(c) for c in text]
    return f"{indent}{''.join(flat)}\n{indent}{' ' * columns(''.join(flat[:position]))}^"


def _write_out(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def _escape_for_json(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
