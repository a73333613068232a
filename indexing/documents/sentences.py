"""Where sentences begin and end, in one linear pass and without a model.

A sentence ends at `.`, `!`, `?` or `…` before a blank, unless the point belongs to an abbreviation, an
initial or a number in a list; at `。！？｡` anywhere; at a blank line; and at a line break before or after
what is not running prose: list items, headings, table rows, code, prompts. A line break inside a
hard-wrapped paragraph ends nothing. Splitting once too often is harmless here: sentences are packed into
passages again, and only the ends of passages are seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

__all__ = ["sentence_spans"]

# A possible end, each alternative anchored at its first character and consuming what it matched, so that
# the scan is linear: closing quotes and brackets belong to the sentence they end.
_END = re.compile(
    r"""
      (?P<stop> (?<![.!?…]) [.!?…]+ ["'”’»)\]}*_`]{0,4} ) (?=\s)  # looking back keeps "......" linear
    | [。！？｡]+ [」』”’）】〉》"']*
    | (?P<paragraph> \n [^\S\n]* \n ) \s*
    | (?P<newline> \n )
    """,
    re.VERBOSE,
)
# A line that starts like this is no continuation of the prose above it, nor continued by the line below.
_STRUCTURED = re.compile(
    r"""
      [ ]{4} | \t
    | [ ]{0,3} (?: [-*+•‣◦–]\s | \d{1,3}[.)]\s | [A-Za-z][.)]\s | \#{1,6}\s )  # items and headings
    | [ ]{0,3} (?: >>> | \.\.\.\s | \$\s | ``` | ~~~ | \| | :\w+[ :] | @\w )  # code, tables, fields
    """,
    re.VERBOSE,
)
_ITEM_NUMBER = re.compile(r"(?:^|\n)[^\S\n]{0,8}(?:\d{1,3}|[A-Za-z])\.$")
_LAST_WORD = re.compile(r"[^\s(\[{\"'“‘]{1,24}$")
_LONGEST_LOOK_BACK = 32
_LONGEST_LINE = 1 << 16  # how far back the beginning of a line is looked for


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


_ABBREVIATIONS = _words(
    "mr mrs ms mx dr prof rev hon st mt ft sr jr gen col capt lt sgt cmdr sen rep gov pres supt "
    "no nos vol vols pp p fig figs eq eqs sec secs ch chap art ed eds trans ref refs app cf vs v viz "
    "al approx ca dept univ assn bros inc ltd co corp est e.g i.e eg ie etc incl excl resp esp "
    "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri "
    "a.m p.m u.s u.k u.n e.u ph.d m.d b.a m.a b.sc m.sc d.c n.b q.v z.b d.h u.a bzw usw ggf vgl nr str"
)
# These end a sentence as often as not: the next word decides.
_OFTEN_LAST = _words("etc inc ltd co corp a.m p.m u.s u.k u.n e.u ph.d m.d usw al jr sr no")


def sentence_spans(text: str, start: int = 0, stop: int | None = None) -> npt.NDArray[np.int64]:
    """Character spans [n, 2] of the sentences, in order, without the blanks around them.

    Every character that is not a blank lies in exactly one span; text of blanks has none. Linear time. Of a
    part of `text`, from `start` to `stop`, the spans count from the beginning of `text` too.
    """
    stop = len(text) if stop is None else stop
    flat = np.fromiter((bound for span in _spans(text, start, stop) for bound in span), dtype=np.int64)
    return flat.reshape(-1, 2)


def _spans(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    for end in _ends(text, start, stop):
        span = trim(text, start, end)
        if span is not None:
            yield span
        start = end
    span = trim(text, start, stop)
    if span is not None:
        yield span


def _ends(text: str, start: int, stop: int) -> Iterator[int]:
    lowest = max(0, start - _LONGEST_LINE)
    line = text.rfind("\n", lowest, start) + 1 or lowest
    structured = _STRUCTURED.match(text, line) is not None  # the line that is being read
    for match in _END.finditer(text, start, stop):
        end = match.end()
        kind = match.lastgroup
        if kind == "stop":
            if _ends_sentence(text, match.start(), end):
                yield end
        elif kind == "newline":
            was_structured, structured = structured, _STRUCTURED.match(text, end) is not None
            if was_structured or structured:
                yield end
        else:
            if kind == "paragraph":
                # The blanks after an empty line may be the indentation of code.
                line = text.rfind("\n", match.start(), end) + 1
                structured = _STRUCTURED.match(text, line) is not None
            yield end


def _ends_sentence(text: str, stop: int, end: int) -> bool:
    """Whether the point at `stop` ends a sentence and not just a word.

    A small letter after a full stop proves nothing: whole collections are written in lower case.
    """
    following = _next_character(text, end)
    run = text[stop:end].rstrip("\"'”’»)]}*_`")
    if run != ".":
        # "Really?" she said. ... and so on.
        quoted = len(run) < end - stop
        return not (following.islower() and (quoted or run[-1] in ".…"))
    before = text[max(0, stop - _LONGEST_LOOK_BACK) : stop]
    if _ITEM_NUMBER.search(before + "."):
        return False
    word = _LAST_WORD.search(before)
    if word is None:
        return True
    last = word.group().lower()
    if last in _OFTEN_LAST:
        return following.isupper()
    return last not in _ABBREVIATIONS and not _is_initial(word.group())


def _is_initial(word: str) -> bool:
    """`J` in `J. Smith`, `J.R` in `J.R. Tolkien`; not the pronoun `I`."""
    return word != "I" and all(len(part) == 1 and part.isupper() for part in word.split("."))


def _next_character(text: str, position: int) -> str:
    """The first character after the blank at `position` that opens no quote, within a few characters."""
    for char in text[position : position + 8]:
        if not char.isspace() and char not in "\"'“‘«([{*_`¿¡":
            return char
    return ""


def trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The span without blanks at its ends; None if nothing is left."""
    piece = text[start:end]
    body = piece.lstrip()
    if not body:
        return None
    start += len(piece) - len(body)
    return start, start + len(body.rstrip())
