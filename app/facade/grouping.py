"""What is shown as one card: passages that say nearly the same, and where wanted the documents of one file.

Pages and the terminal group; a search in Python and an evaluation give single results.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexing import Result

__all__ = ["ALIKE", "Group", "Placed", "folded_ids", "group_results", "passage_of"]

ALIKE = 0.9
"""Share of common runs of three words from which on two passages count as the same. In a passage of a hundred
words one may differ, in one of fifteen none: short texts that differ in a word differ in what they say. The
title counts as part of a passage.
"""

_RUN = 3
_LONGEST = 4_000  # characters of a passage that are compared; a chunk has fewer
_WHOLE = 2_000  # a text up to this length is its own passage, where no chunk matched best
# Thai, Lao, Khmer, kana and Chinese characters part no words: each is one.
_UNPARTED = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNPARTED}]|[^\W{_UNPARTED}]+")


@dataclass(frozen=True)
class Placed:
    """A result and its rank, from 1 over all pages."""

    rank: int
    result: Result


@dataclass
class Group:
    """One card. `alike` say nearly what `first` says, `of_file` are other documents of its file; both are in
    the order of their ranks, which are higher than that of `first`.
    """

    first: Placed
    alike: list[Placed] = field(default_factory=list)
    of_file: list[Placed] = field(default_factory=list)

    def __iter__(self) -> Iterator[Placed]:
        return iter(sorted((self.first, *self.alike, *self.of_file), key=lambda one: one.rank))


def group_results(
    results: Iterable[Result],
    files: Sequence[str] | None = None,
    first_rank: int = 1,
    *,
    alike: bool = True,
) -> list[Group]:
    """The cards of `results`, in the order of their first members; each result is in one of them.

    A result joins the first card whose first member says nearly the same, unless `alike` is False. Where
    `files` are given, one for each result and empty where there is none, it else joins the card whose first
    member is of its file.
    """
    results = list(results)
    runs = [_runs(f"{result.title} {passage_of(result)}") for result in results]
    groups: list[Group] = []
    leaders = _Leaders(Counter(run for one in runs for run in one))
    of_file: dict[str, Group] = {}
    for at, result in enumerate(results):
        placed = Placed(first_rank + at, result)
        file = files[at] if files is not None else ""
        same = leaders.find(runs[at]) if alike else None
        if same is not None:
            groups[same].alike.append(placed)
        elif file and file in of_file:
            of_file[file].of_file.append(placed)
        else:
            leaders.add(runs[at])
            groups.append(Group(placed))
            if file:
                of_file[file] = groups[-1]
    return groups


def folded_ids(groups: Iterable[Group]) -> set[str]:
    """The documents that a card does not show at first."""
    return {one.result.id for group in groups for one in group if one is not group.first}


def passage_of(result: Result) -> str:
    """What of a document is shown as the answer: the chunk that matched best, else a short text, or the piece
    that is shown of a long one.
    """
    if result.span is not None:
        start, end = result.span
        return result.text[start : min(end, start + _LONGEST)]
    return result.text if len(result.text) <= _WHOLE else result.snippet.text


Run = tuple[str, ...]


def _runs(text: str) -> frozenset[Run]:
    """The runs of three words of `text`; of a shorter one all words, of one without words its characters."""
    words = _WORD.findall(text.casefold()) or text.split()
    return frozenset(tuple(words[at : at + _RUN]) for at in range(max(1, len(words) - _RUN + 1)))


class _Leaders:
    """First members of cards, by their places, found by what they share.

    Sets of which `ALIKE` is common share one of their first few members in any order, which is all that is
    looked for (Chaudhuri, Ganti and Kaushik, "A Primitive Operator for Similarity Joins in Data Cleaning",
    ICDE 2006). With what few have in common first, ten thousand results are not all compared with each other.
    """

    def __init__(self, frequency: Mapping[Run, int]) -> None:
        self._frequency = frequency
        self._runs: list[frozenset[Run]] = []
        self._with: dict[Run, list[int]] = {}

    def add(self, runs: frozenset[Run]) -> None:
        for run in self._beginning(runs):
            self._with.setdefault(run, []).append(len(self._runs))
        self._runs.append(runs)

    def find(self, runs: frozenset[Run]) -> int | None:
        """The first one that is nearly the same."""
        places = {place for run in self._beginning(runs) for place in self._with.get(run, ())}
        return next((place for place in sorted(places) if _are_alike(runs, self._runs[place])), None)

    def _beginning(self, runs: frozenset[Run]) -> list[Run]:
        ordered = sorted(runs, key=lambda run: (self._frequency[run], run))
        return ordered[: len(runs) - _least(len(runs)) + 1]


def _least(count: int) -> int:
    """How many of `count` another set must have, to be nearly the same."""
    return math.ceil(ALIKE * count - 1e-9)


def _are_alike(one: frozenset[Run], other: frozenset[Run]) -> bool:
    common = len(one & other)
    return common >= ALIKE * (len(one) + len(other) - common)
