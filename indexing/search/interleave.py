"""Two answers in one list, so that clicks tell which is better: team draft interleaving.

Radlinski, Kurup and Joachims, "How Does Clickthrough Data Reflect Retrieval Quality?" (CIKM 2008): in each
round a coin says which of the two picks first; each picks its best result that is not there yet, and is
credited with what happens to it.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import replace

from indexing.search.results import SearchResults

__all__ = ["interleave", "shared_beginning", "team_draft"]


def team_draft(
    first: Sequence[str], second: Sequence[str], k: int, coin: random.Random
) -> list[tuple[int, int]]:
    """At most `k` picks, each (0 or 1 for the list that picked, position in it); no id comes twice.

    Every id of either list is picked once `k` is large enough. Both have as many picks, or one more, until
    one of them has nothing left to pick.
    """
    lists = (first, second)
    picks: list[tuple[int, int]] = []
    taken: set[str] = set()
    positions = [0, 0]
    while len(picks) < k and any(position < len(ids) for position, ids in zip(positions, lists, strict=True)):
        leader = coin.randrange(2)
        for team in (leader, 1 - leader):
            ids = lists[team]
            while positions[team] < len(ids) and ids[positions[team]] in taken:
                positions[team] += 1
            if positions[team] < len(ids) and len(picks) < k:
                taken.add(ids[positions[team]])
                picks.append((team, positions[team]))
    return picks


def shared_beginning(first: Sequence[str], second: Sequence[str]) -> int:
    """How many ids both lists have in the same places from the first on."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(first), len(second)))


def interleave(live: SearchResults, other: SearchResults, offset: int, k: int, seed: str) -> SearchResults:
    """One answer of two to the same question, each from its first result on.

    No team is credited with the results with which both begin: a click there says nothing of which is better,
    and would be a coin's vote (Chapelle, Joachims, Radlinski and Yue, "Large-Scale Validation and Analysis of
    Interleaved Search Evaluation", TOIS 2012, on what such clicks cost).

    The draw depends on the question, the two servings and `seed` alone, so that pages fit together and who
    asks again sees the same.
    """
    said = "\0".join([live.query, live.mode, str(live.serving), str(other.serving), seed])
    coin = random.Random(hashlib.sha256(said.encode("utf-8", "surrogatepass")).digest())  # noqa: S311 - no secret
    answers = (live, other)
    ids = [[result.id for result in answer.results] for answer in answers]
    picks = team_draft(ids[0], ids[1], offset + k, coin)[offset:]
    alike = shared_beginning(ids[0], ids[1])
    assert live.serving is not None
    assert other.serving is not None
    servings = (live.serving, other.serving)
    return replace(
        live,
        took_ms=live.took_ms + other.took_ms,
        steps={
            step: live.steps.get(step, 0.0) + other.steps.get(step, 0.0)
            for step in {**live.steps, **other.steps}
        },
        results=[answers[team].results[position] for team, position in picks],
        notes=list(dict.fromkeys([*live.notes, *other.notes])),
        offset=offset,
        trial=servings,
        teams=[None if position < alike else servings[team] for team, position in picks],
        weak=live.weak if other.weak else None,
        stopped=live.stopped or other.stopped,
    )
