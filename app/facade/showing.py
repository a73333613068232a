"""How a result reads: its heading, where it is from, and its snippet without what the heading says."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexing.search.results import Snippet

if TYPE_CHECKING:
    from indexing import Result

__all__ = ["Whence", "file_of", "heading", "snippet_below", "whence"]

_LEAST_WORDS = 4  # a shorter title in the middle of a sentence is its subject, and no repetition
_MARKS = re.compile(r"[\s#*=>_~`]*")  # what Markdown and its kin put before a heading
_ENDS = re.compile(r"[.:;!?。：！？…]|[ \t*_`~#|]*(?:\n|$)")
# What closes a title, and the line that underlines it.
_GAP = re.compile(r"[.:;!?。：！？…]*[ \t*_`~#|]*(?:\n[ \t]*[=~^*#-]{3,}[ \t]*(?=\n|$))?\s*")


def heading(result: Result) -> str:
    """The title, or the id of a document that has none."""
    return result.title or result.id


@dataclass(frozen=True)
class Whence:
    """Where a result is from.

    Attributes:
        path: the absolute path of its file.
        root: the folder that was read, as far as the id tells; else the one that holds the file.
        crumbs: name of that folder, folders below it, the file, and the place in it.
        page, line: of the file, from 1, where they are known.
    """

    path: str
    root: str
    crumbs: tuple[str, ...]
    page: int | None
    line: int | None


def whence(result: Result) -> Whence | None:
    """None of a document that is of no file."""
    if not result.origin:
        return None
    root, below, part = _parts(result)
    place = result.place
    crumbs = [posixpath.basename(root) or root, *below.split("/")]
    crumbs += [part] if part and not part.isdigit() and part != result.title else []
    headings = place.headings[1:] if place.headings[:1] == (result.title,) else place.headings
    crumbs += headings
    if place.page is not None:
        crumbs.append(f"page {place.page:,}")
    elif place.line is not None and not headings:
        crumbs.append(f"line {place.line:,}")
    return Whence(f"{root.rstrip('/')}/{below}", root, tuple(crumbs), place.page, place.line)


def file_of(result: Result) -> str:
    """The absolute path of the file that the document is of; empty where it is of none."""
    found = whence(result)
    return found.path if found else ""


def _parts(result: Result) -> tuple[str, str, str]:
    """Root, file below it, and the part of the file, of an origin such as `/notes/2024/a.csv#12`.

    A file may have a # in its name: where the field `path` says which it is, that is believed.
    """
    origin = result.origin
    root = origin[: -len(result.id) - 1] if origin.endswith(f"/{result.id}") else posixpath.dirname(origin)
    root = root or "/"
    below = origin[len(root.rstrip("/")) + 1 :]
    path = str(result.metadata.get("path") or "")
    known = [len(name) for name in (path, posixpath.basename(path)) if _begins(below, name)]
    end = known[0] if known else below.find("#", 1)
    return (root, below, "") if end < 0 else (root, below[:end], below[end + 1 :])


def _begins(below: str, name: str) -> bool:
    return bool(name) and (below == name or below.startswith(f"{name}#"))


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
