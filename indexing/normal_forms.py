"""One form for texts that a person takes for the same: what filters compare, and words are looked up by.

`München`, `MÜNCHEN`, `Mu\\u0308nchen` and `Mün\\u00adchen` are one text here; `Munchen` is another.
Accents are folded for keyword search only, see `indexing.lexical`.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache

__all__ = ["fold_case", "normal_form"]

# Unicode's Default_Ignorable_Code_Point: what is drawn as nothing (soft hyphens, joiners, marks of direction,
# variation selectors, tags, fillers of Hangul).
_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)

# Putting marks on one letter in order takes time that grows with the square of their number; no writing sets
# more than a few. Runs in short texts are harmless.
MOST_MARKS = 30
_SHORT = 1_000


def normal_form(text: str) -> str:
    """`text` in Unicode's form for comparing without regard to case (NFKC_Casefold): composed, of one width,
    full case folding, without what is drawn as nothing. A text's normal form is its own normal form.

    Beyond that the dot above of i is dropped, so that `İstanbul` is `istanbul`; of more than `MOST_MARKS`
    marks on one letter the rest is dropped. Takes time in proportion to the text; a tenth of a microsecond
    for a short one of ASCII.
    """
    if text.isascii():
        return text.lower()
    text = _IGNORABLE.sub("", text)
    if len(text) > _SHORT:
        text = _drop_marks(text)
    return fold_case(unicodedata.normalize("NFKC", text))


def fold_case(text: str) -> str:
    """`text` (NFC or NFKC) by full case folding, in NFKC again: σ and ς, ß and ss, İ and i are one."""
    folded = unicodedata.normalize("NFKD", text).casefold()
    folded = unicodedata.normalize("NFKC", folded)
    if "\u0307" in folded:
        folded = unicodedata.normalize("NFKC", _DOTS_OF_I.sub("i", unicodedata.normalize("NFD", folded)))
    return folded


_DOTS_OF_I = re.compile("i\u0307+")


def _drop_marks(text: str) -> str:
    return _crowds().sub(r"\1", text)


@cache
def _crowds() -> re.Pattern[str]:
    """More than `MOST_MARKS` characters in a row that are put in order after a letter."""
    codes = [code for code in range(0x300, sys.maxunicode) if unicodedata.combining(chr(code))]
    marks = re.escape("".join(map(chr, codes)))
    return re.compile(f"([{marks}]{{{MOST_MARKS}}})[{marks}]+")
