"""How a result reads: its heading, where it is from, and its snippet without what the heading says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from indexing.search.results import Snippet

if TYPE_CHECKING:
    from indexing import Result

__all__ = ["file_of", "heading", "snippet_below"]

_LEAST_WORDS = 4  # a shorter title in the middle of a sentence is its subject, and no repetition
_MARKS = re.compile(r"[\s#*=>_~`]*")  # what Markdown and its kin put before a heading
_ENDS = re.compile(r"[.:;!?。：！？…]|[ \t*_`~#|]*(?:\n|$)")
# What closes a title, and the line that underlines it.
_GAP = re.compile(r"[.:;!?。：！？…]*[ \t*_`~#|]*(?:\n[ \t]*[=~^*#-]{3,}[ \t]*(?=\n|$))?\s*")


def heading(result: Result) -> str:
    """The title, or the id of a document that has none."""
    return result.title or result.id


def file_of(result: Result) -> str:
    """The absolute path of the file that the document is of; empty where it is of none."""
    return getattr(result, "origin", "")


def snippet_below(title: str, snippet: Snippet) -> Snippet:
    """`snippet` without `title`, where it begins with it: what follows, or nothing.

    Case, white space and the marks of a heading are no difference. A title that is cut off with an ellipsis
    is looked for up to it. One of less than four words stays where the sentence goes on: it is its subject.
    """
    end = _end_of_title(title, snippet.text)
    if end is None:
        return snippet
    start = end + len(_GAP.match(snippet.text, end)[0])  # type: ignore[index] # it matches the empty text too
    highlights = [(max(a, start) - start, b - start) for a, b in snippet.highlights if b > start]
    return Snippet(snippet.text[start:], highlights)


def _end_of_title(title: str, text: str) -> int | None:
    """Where the title that `text` begins with ends; None where it begins with something else."""
    words = title.rstrip("….").split()
    if not words:
        return None
    pattern = _MARKS.pattern + r"[\s*_`]+".join(map(re.escape, words))
    found = re.compile(pattern, re.IGNORECASE).match(text)
    if found is None:
        return None
    at = found.end()
    if _ENDS.match(text, at):
        return at
    goes_on = at < len(text) and text[at].isalnum() and text[at - 1].isalnum()
    return None if len(words) < _LEAST_WORDS or (goes_on and not title.endswith("…")) else at
