"""Letters without their accents, vowel points and other marks, for keyword search only.

`résumé` is found by `resume`, `שָׁלוֹם` by `שלום`, `مُحَمَّد` by `محمد`, `Ωμέγα` by `ωμεγα`. Marks that make
another letter (of Kana, Hangul, the scripts of India and South East Asia, the Cyrillic й, ў and ї) stay.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

__all__ = ["fold_marks"]

# Combining marks of Latin and Greek; Hebrew points; Arabic harakat, signs of the Koran and tatweel.
_MARKS = (
    "\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"
)
# Blocks with letters that have such marks in them, or digits of another script.
_COMPOSED = (
    "\u00c0-\u024f\u0386-\u03ce\u0450-\u045f\u0622-\u0626\u0660-\u0669"
    "\u0671\u06c0-\u06f9\u0966-\u096f\u1e00-\u1fff"
)
_FOLDED = re.compile(f"[{_MARKS}{_COMPOSED}]")
_ONLY_MARKS = re.compile(f"[{_MARKS}]+")
_KEPT = "ўї"  # letters of their own, which nobody leaves the mark out of


def fold_marks(text: str) -> str:
    """`text` (in NFC or NFKC) without accents and vowel points, digits of any script as 0 to 9."""
    if text.isascii():
        return text
    return _FOLDED.sub(lambda found: _fold(found.group()), text)


@cache
def _fold(letter: str) -> str:
    if letter in _KEPT:
        return letter
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    return _ONLY_MARKS.sub("", unicodedata.normalize("NFD", letter)).replace("ٱ", "ا")
