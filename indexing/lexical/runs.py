"""Scripts that set no spaces between words, or several words between spaces, in overlapping pieces.

`机器学习` is found inside any sentence by `学习`, and `서울` in `서울에서`. Two letters of Chinese, Japanese
and Korean are about a word, and pairs need neither a dictionary nor the same cut on both sides; of Thai,
Lao, Khmer and Burmese, whose letters are those of an alphabet, it takes three.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

__all__ = ["cut_runs", "index_pieces", "question_pieces"]

_IDEOGRAPHS = (
    "\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c\u3040-\u3096\u3099\u309a"
    "\u309d-\u30fa\u30fc-\u312f\u3131-\u318e\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\ua4cf\ua960-\ua97c"
    "\uac00-\ud7fb\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_ALPHABETS = "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u0edc-\u0edf\u1000-\u103f\u1050-\u108f\u1780-\u17d3"
_RUN = re.compile(f"[{_IDEOGRAPHS}]+|[{_ALPHABETS}]+")
_ANY = re.compile(f"[{_IDEOGRAPHS}{_ALPHABETS}]")
_IS_IDEOGRAPHIC = re.compile(f"[{_IDEOGRAPHS}]")


def cut_runs(text: str) -> tuple[str, list[str]]:
    """A text without its runs of such scripts, which leave a space, and the runs."""
    if text.isascii() or not _ANY.search(text):
        return text, []
    return _RUN.sub(" ", text), _RUN.findall(text)


def index_pieces(run: str) -> list[str]:
    """Every letter of a run by itself, and every two (and of an alphabet three) in a row."""
    letters, size = _letters(run)
    return [piece for length in range(1, size + 1) for piece in _pieces(letters, length)]


def question_pieces(run: str) -> list[str]:
    """The longest of these pieces: what a text must have to have the run in it."""
    letters, size = _letters(run)
    return _pieces(letters, min(size, len(letters)))


def _letters(run: str) -> tuple[list[str], int]:
    """The letters of a run, each with its vowel signs and tones, and how many are a piece."""
    if _IS_IDEOGRAPHIC.match(run):
        return list(run), 2
    return _with_signs().findall(run), 3


def _pieces(letters: list[str], length: int) -> list[str]:
    return ["".join(letters[i : i + length]) for i in range(len(letters) - length + 1)]


@cache
def _with_signs() -> re.Pattern[str]:
    codes = [*range(0x0E00, 0x0F00), *range(0x1000, 0x10A0), *range(0x1780, 0x1800)]
    signs = "".join(chr(code) for code in codes if unicodedata.category(chr(code)) in {"Mn", "Mc"})
    return re.compile(f".[{signs}]*")
