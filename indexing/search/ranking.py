"""Document keys in the order of the answer, by one leg or by several.

The order is one and the same however much of it is asked for, so that pages put together are the long list:
each leg is asked for its best `FIRST_DEPTH` documents, which decide as many places; for more, the legs are
asked for `GROWTH` times as many, and what is new follows, and so on. Were they asked for as many as are
wanted, a document that several legs find far down could come in before others of a page that was shown
already. The price: a score may rise where a deeper round begins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from indexing.search.fuse import LegScores, shares
from indexing.search.legs.base import Hits, Leg
from indexing.search.timing import Steps

__all__ = [
    "FIRST_DEPTH",
    "GROWTH",
    "ExtraPart",
    "LegParts",
    "More",
    "Parts",
    "Ranking",
    "Scored",
    "rank",
    "score_all",
]

Parts = dict[str, float | int | None]
More = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""What is added to the fused scores of documents (keys int64 [n]) beside the legs, by name: float64 [n]."""

# Documents that each leg contributes to the first round. Deeper changes NDCG@10 by less than 0.001 and costs
# time.
FIRST_DEPTH = 100
# How much deeper each further round goes: few rounds, and not much deeper than asked for.
GROWTH = 4


@dataclass(frozen=True)
class LegParts:
    """What one leg said of n documents: scores float32 [n], ranks int64 [n] among its own best (0: not among
    them), and shares float64 [n] in the fused score, or None where it is the only leg.
    """

    name: str
    scores: np.ndarray
    ranks: np.ndarray
    shares: np.ndarray | None

    def at(self, position: int) -> Parts:
        parts: Parts = {
            self.name: float(self.scores[position]),
            f"{self.name}_rank": int(self.ranks[position]) or None,
        }
        if self.shares is not None:
            parts[f"{self.name}_share"] = float(self.shares[position])
        return parts

    def take(self, order: np.ndarray) -> LegParts:
        shares = None if self.shares is None else self.shares[order]
        return LegParts(self.name, self.scores[order], self.ranks[order], shares)

    def then(self, more: LegParts | ExtraPart) -> LegParts:
        assert isinstance(more, LegParts)
        scores, ranks = np.append(self.scores, more.scores), np.append(self.ranks, more.ranks)
        if self.shares is None or more.shares is None:
            return LegParts(self.name, scores, ranks, None)
        return LegParts(self.name, scores, ranks, np.append(self.shares, more.shares))


@dataclass(frozen=True)
class ExtraPart:
    """What something beside the legs adds to the fused scores of n documents: shares float64 [n]."""

    name: str
    shares: np.ndarray

    def at(self, position: int) -> Parts:
        return {f"{self.name}_share": float(self.shares[position])}

    def take(self, order: np.ndarray) -> ExtraPart:
        return ExtraPart(self.name, self.shares[order])

    def then(self, more: LegParts | ExtraPart) -> ExtraPart:
        assert more.shares is not None
        return ExtraPart(self.name, np.append(self.shares, more.shares))


@dataclass(frozen=True)
class Ranking:
    """Documents best first: keys int64 [n], scores float32 [n], best chunks int64 [n] (-1: none), and what
    each leg said.
    """

    documents: np.ndarray
    scores: np.ndarray
    chunks: np.ndarray
    legs: tuple[LegParts | ExtraPart, ...] = ()

    @classmethod
    def empty(cls) -> Ranking:
        return cls(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.documents)

    def parts(self, position: int) -> Parts:
        """How the score at a position came about."""
        return {name: value for leg in self.legs for name, value in leg.at(position).items()}

    def take(self, order: np.ndarray) -> Ranking:
        """The documents at these positions."""
        legs = tuple(leg.take(order) for leg in self.legs)
        return Ranking(self.documents[order], self.scores[order], self.chunks[order], legs)

    def then(self, more: Ranking) -> Ranking:
        """With those of `more` that are not there yet behind."""
        more = more.take(np.flatnonzero(~np.isin(more.documents, self.documents)))
        return Ranking(
            np.append(self.documents, more.documents),
            np.append(self.scores, more.scores),
            np.append(self.chunks, more.chunks),
            tuple(mine.then(other) for mine, other in zip(self.legs, more.legs, strict=True)),
        )


def rank(
    legs: Sequence[Leg],
    wanted: int,
    allowed: np.ndarray | None,
    steps: Steps,
    weights: Mapping[str, float] | None = None,
    more: More | None = None,
) -> Ranking:
    """The best `wanted` documents; fewer where fewer answer.

    Args:
        legs: at least one; a single one's scores are the answer's.
        allowed: a boolean table over document keys; None allows all.
        weights: of the legs by name, where it is not 1, see `indexing.search.fuse`.
        more: what is added beside several legs; a single one's scores stay what they are.
    """
    depth = FIRST_DEPTH
    ranking, ended = _rank_round(legs, depth, allowed, steps, weights or {}, more)
    while not ended and len(ranking) < wanted:
        depth *= GROWTH
        deeper, ended = _rank_round(legs, depth, allowed, steps, weights or {}, more)
        ranking = ranking.then(deeper)
        if not ended:
            ranking = ranking.take(np.arange(depth))
    return ranking.take(np.arange(min(wanted, len(ranking))))


def _rank_round(
    legs: Sequence[Leg],
    depth: int,
    allowed: np.ndarray | None,
    steps: Steps,
    weights: Mapping[str, float],
    more: More | None,
) -> tuple[Ranking, bool]:
    """The order of the best `depth` documents of each leg: the first `depth` of it, or all of it where no leg
    has more, which is the second answer.
    """
    found = []
    for leg in legs:
        with steps.step(leg.name):
            found.append(leg.find(depth, allowed))
    ended = all(len(hits.documents) < depth for hits in found)
    if len(legs) == 1:
        return _rank_by_one(legs[0].name, found[0]), ended
    ranking = _rank_by_all(legs, found, weights, more, steps)
    return (ranking if ended else ranking.take(np.arange(depth))), ended


def _rank_by_one(name: str, hits: Hits) -> Ranking:
    ranks = np.arange(1, len(hits.documents) + 1)
    return Ranking(hits.documents, hits.scores, hits.chunks, (LegParts(name, hits.scores, ranks, None),))


@dataclass(frozen=True)
class Scored:
    """What legs say of documents, keys int64 [n] ascending: their hits in this order, one per leg, and what
    each adds to the fused score, float64 [legs, n].
    """

    documents: np.ndarray
    hits: list[Hits]
    shares: np.ndarray

    @property
    def chunks(self) -> np.ndarray:
        """The best chunk of each by the first leg that knows one, int64 [n]; -1 where none does."""
        chunks = np.full(len(self.documents), -1, np.int64)
        for hits in self.hits:
            chunks = np.where(chunks < 0, hits.chunks, chunks)
        return chunks


def score_all(
    legs: Sequence[Leg],
    found: Sequence[Hits],
    weights: Mapping[str, float],
    include: np.ndarray | None = None,
    steps: Steps | None = None,
) -> Scored:
    """Whatever any leg found, and `include`, scored by all of them."""
    steps = steps or Steps()
    lists = [hits.documents for hits in found] + ([] if include is None else [include])
    documents = np.unique(np.concatenate(lists))
    with steps.step("rescore"):
        scored = [leg.score(documents, hits) for leg, hits in zip(legs, found, strict=True)]
    with steps.step("fuse"):
        said = [
            LegScores(
                leg.name, leg.kind, hits.scores, leg.scale(), weights.get(leg.name, 1.0), leg.usual_weight
            )
            for leg, hits in zip(legs, scored, strict=True)
        ]
        return Scored(documents, scored, shares(said))


def _rank_by_all(
    legs: Sequence[Leg], found: Sequence[Hits], weights: Mapping[str, float], more: More | None, steps: Steps
) -> Ranking:
    scored = score_all(legs, found, weights, steps=steps)
    with steps.step("fuse"):
        return _order(legs, found, scored, more)


def _order(legs: Sequence[Leg], found: Sequence[Hits], scored: Scored, more: More | None) -> Ranking:
    documents = scored.documents
    extras = [] if more is None else [ExtraPart(name, row) for name, row in more(documents).items()]
    parts = tuple(
        LegParts(leg.name, hits.scores, _ranks(documents, best.documents), row)
        for leg, hits, best, row in zip(legs, scored.hits, found, scored.shares, strict=True)
    )
    total = scored.shares.sum(axis=0)
    for extra in extras:
        total = total + extra.shares
    scores = total.astype(np.float32)
    ranking = Ranking(documents, scores, scored.chunks, (*parts, *extras))
    return ranking.take(np.lexsort((documents, -scores)))


def _ranks(documents: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Where each of `documents` (ascending) stands in what a leg found, from 1; 0 where it does not."""
    ranks = np.zeros(len(documents), np.int64)
    ranks[np.searchsorted(documents, found)] = np.arange(1, len(found) + 1)
    return ranks
