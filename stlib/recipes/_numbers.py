"""Numbers of the command line, as types of argparse that refuse what has no meaning.

Without them a recipe would run for minutes with a depth of 0, or end in an error of another library.
"""

from __future__ import annotations

import argparse
import math

__all__ = ["natural", "number", "part", "positive", "positive_number", "positive_part", "seed"]

# What NumPy takes
_LARGEST_SEED = 2**32 - 1


def positive(text: str) -> int:
    """A whole number of 1 or more."""
    return _whole(text, 1)


def natural(text: str) -> int:
    """A whole number of 0 or more."""
    return _whole(text, 0)


def seed(text: str) -> int:
    """A whole number from which random numbers start."""
    if (value := _whole(text, 0)) > _LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; use 0 to {_LARGEST_SEED}")
    return value


def number(text: str) -> float:
    """A number, neither NaN nor infinite."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return value


def positive_number(text: str) -> float:
    """A number above 0."""
    if (value := number(text)) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def part(text: str) -> float:
    """A part of a whole, from 0 up to but without 1."""
    if not 0 <= (value := number(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no part of a whole; use 0 or more and less than 1")
    return value


def positive_part(text: str) -> float:
    """A part of a whole, between 0 and 1 without both."""
    if not 0 < (value := number(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no part of a whole; use more than 0 and less than 1")
    return value


def _whole(text: str, least: int) -> int:
    if not text.strip().isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of {least} or more")
    return int(text)
