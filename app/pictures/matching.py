"""Finding a passage among the characters of a page, where lines, hyphens and ligatures stand otherwise."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

__all__ = ["find_passage"]

_SEED = 20  # letters and digits that must agree; shorter runs are found by chance


def find_passage(characters: Sequence[str], passage: str) -> list[tuple[int, int]]:
    """The runs (start, end) of `characters` that are of `passage`, in the order of the page.

    Only letters and digits are compared. A passage may begin on the page before or go on on the next one, and
    something else, such as a footnote, may stand within.
    """
    letters, places = _letters(characters)
    wanted, _ = _letters(passage)
    runs: list[tuple[int, int]] = []
    at = done = 0
    while at < len(wanted):
        seed = wanted[at : at + _SEED]
        if len(seed) < _SEED and at:
            break
        found = letters.find(seed, done)
        if found < 0:
            at += max(1, _SEED // 4)
            continue
        back = 0
        while back < min(at, found - done) and letters[found - back - 1] == wanted[at - back - 1]:
            back += 1
        ahead = len(seed)
        while at + ahead < len(wanted) and letters[found + ahead : found + ahead + 1] == wanted[at + ahead]:
            ahead += 1
        runs.append((places[found - back], places[found + ahead - 1] + 1))
        at, done = at + ahead, found + ahead
    return runs


def _letters(characters: Sequence[str]) -> tuple[str, list[int]]:
    """Letters and digits in small letters, and the place of each among `characters`."""
    letters, places = [], []
    for place, character in enumerate(characters):
        for letter in unicodedata.normalize("NFKC", character).lower():
            if letter.isalnum():
                letters.append(letter)
                places.append(place)
    return "".join(letters), places
