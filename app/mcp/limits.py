"""How much goes out in one answer: a model that reads it has no room for more."""

from __future__ import annotations

from typing import Any

__all__ = [
    "MOST_ADDED",
    "MOST_COLLECTIONS",
    "MOST_DELETED",
    "MOST_FIELDS",
    "MOST_LISTED",
    "MOST_READ",
    "MOST_RESULTS",
    "MOST_TEXT",
    "MOST_TITLE",
    "MOST_VALUES",
    "bounded_metadata",
    "bounded_text",
]

MOST_RESULTS = 50
MOST_LISTED = 100
MOST_READ = 20
MOST_ADDED = 100
MOST_DELETED = 100
MOST_COLLECTIONS = 20
"""So many collections are asked at once; a model of each is loaded for that."""
MOST_TITLE = 300
MOST_FIELDS = 30
MOST_VALUES = 20

MOST_TEXT = 100_000
"""Characters of a document in one piece: about 25,000 tokens, what clients take from a tool."""
_LONGEST_VALUE = 500
_LONGEST_METADATA = 8_000


def bounded_text(text: str, longest: int) -> str:
    """`text`, cut with an ellipsis where it is longer."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def bounded_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """Metadata as far as it has room: long texts are cut, and what comes after some thousand characters is
    left out; nested values count as one.
    """
    kept: dict[str, Any] = {}
    room = _LONGEST_METADATA
    for name, value in metadata.items():
        short = bounded_text(value, _LONGEST_VALUE) if isinstance(value, str) else value
        room -= len(name) + len(str(short))
        if room < 0:
            break
        kept[name] = short
    return kept
