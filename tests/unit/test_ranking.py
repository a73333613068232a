"""The order of the answer: what the legs found, put together, the same however much of it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from indexing.search.fuse import LegScores, fuse
from indexing.search.legs.base import Hits, Scale
from indexing.search.ranking import FIRST_DEPTH, rank
from indexing.search.timing import Steps


@dataclass
class Fixed:
    """A leg whose scores are known: `scores` float32 over document keys, NaN where it has none."""

    name: str
    kind: str
    scores: np.ndarray
    chunk: int = -1
    miss: float = 0.0  # an approximate leg misses so many of the documents, others for each depth
    lag: int = 0
    usual_weight: float = 1.0
    asked: list[int] = field(default_factory=list)

    def find(self, k, allowed):
        self.asked.append(k)
        keys = np.flatnonzero(~np.isnan(self.scores))
        if allowed is not None:
            keys = keys[(keys < len(allowed)) & np.append(allowed, np.zeros(len(self.scores), bool))[keys]]
        keys = keys[np.random.default_rng(k).random(len(keys)) >= self.miss]
        keys = keys[np.lexsort((keys, -self.scores[keys]))][:k]
        return Hits(keys, self.scores[keys], self._chunks(keys))

    def score(self, documents, found):
        return Hits(documents, np.nan_to_num(self.scores[documents]), self._chunks(documents))

    def scale(self):
        known = self.scores[~np.isnan(self.scores)]
        return Scale(float(known.mean()) if self.kind == "similarity" else 0.0, float(known.std()))

    def _chunks(self, keys):
        return np.full(len(keys), -1) if self.chunk < 0 else keys * 10 + self.chunk


def legs(n=1500, miss=0.0, ties=False):
    rng = np.random.default_rng(n)
    semantic = rng.normal(0.2, 0.1, n).astype(np.float32)
    words = np.where(rng.random(n) < 0.4, rng.gamma(2, 3, n), np.nan).astype(np.float32)
    if ties:
        semantic, words = np.round(semantic, 1), np.round(words / 5)
    return [
        Fixed("semantic", "similarity", semantic, chunk=3, miss=miss),
        Fixed("keyword", "frequency", words, miss=miss),
    ]


def told(ranking):
    return [
        (key, score, chunk, ranking.parts(n))
        for n, (key, score, chunk) in enumerate(
            zip(ranking.documents.tolist(), ranking.scores.tolist(), ranking.chunks.tolist(), strict=True)
        )
    ]


@pytest.mark.parametrize("wanted", [1, 10, FIRST_DEPTH])
def test_the_first_places_are_those_of_the_best_of_each_leg(wanted):
    """Counted by hand: the union of both legs' best, each scored by both."""
    semantic, keyword = legs()
    best = {key for leg in (semantic, keyword) for key in leg.find(FIRST_DEPTH, None).documents.tolist()}
    keys = np.asarray(sorted(best))
    both = [LegScores(leg.name, leg.kind, leg.score(keys, None).scores, leg.scale()) for leg in legs()]
    scores = dict(zip(keys.tolist(), fuse(both).tolist(), strict=True))
    expected = sorted(best, key=lambda key: (-scores[key], key))[:wanted]
    ranking = rank([semantic, keyword], wanted, None, Steps())
    assert ranking.documents.tolist() == expected
    assert ranking.scores.tolist() == [scores[key] for key in expected]
    assert ranking.chunks.tolist() == [key * 10 + 3 for key in expected]
    for place, key in enumerate(expected):
        parts = ranking.parts(place)
        assert parts["semantic_share"] + parts["keyword_share"] == pytest.approx(scores[key], abs=1e-5)
        assert (parts["keyword"] == 0) == bool(np.isnan(keyword.scores[key]))
        found = keyword.find(FIRST_DEPTH, None).documents.tolist()
        assert parts["keyword_rank"] == (found.index(key) + 1 if key in found else None)


@pytest.mark.parametrize("miss", [0.0, 0.3])
@pytest.mark.parametrize("ties", [False, True])
def test_a_short_answer_begins_every_longer_one(miss, ties):
    long = told(rank(legs(miss=miss, ties=ties), 1500, None, Steps()))
    assert len({key for key, *_ in long}) == len(long)
    assert miss or len(long) == 1500
    for wanted in (1, 99, 100, 101, 399, 400, 401, 1000):
        assert told(rank(legs(miss=miss, ties=ties), wanted, None, Steps())) == long[:wanted]


def test_one_leg_alone_gives_its_own_scores_in_its_own_order():
    leg = legs(ties=True)[0]
    ranking = rank([leg], 1200, None, Steps())
    expected = np.lexsort((np.arange(1500), -leg.scores))[:1200]
    assert ranking.documents.tolist() == expected.tolist()
    assert ranking.scores.tolist() == leg.scores[expected].tolist()
    assert ranking.parts(700) == {"semantic": float(leg.scores[expected[700]]), "semantic_rank": 701}


def test_what_is_not_allowed_is_not_found_and_no_leg_is_asked_in_vain():
    allowed = np.zeros(900, bool)  # keys beyond its end are not allowed either
    allowed[::9] = True
    both = legs()
    ranking = rank(both, 1500, allowed, Steps())
    assert sorted(ranking.documents.tolist()) == list(range(0, 900, 9))
    assert [leg.asked for leg in both] == [[FIRST_DEPTH, 4 * FIRST_DEPTH]] * 2
    assert len(rank(legs(), 5, np.zeros(0, bool), Steps())) == 0


def test_three_legs_and_their_weights():
    """A third leg takes part like the others; a weight of 0 leaves only its candidates."""
    rng = np.random.default_rng(5)
    third = Fixed("sparse", "frequency", rng.gamma(2, 1, 1500).astype(np.float32))
    ranking = rank([*legs(), third], 50, None, Steps())
    names = ("semantic_share", "keyword_share", "sparse_share")
    sums = [sum(ranking.parts(n)[name] for name in names) for n in range(50)]
    np.testing.assert_allclose(ranking.scores, sums, rtol=1e-6)
    alone = rank(legs()[:1], 50, None, Steps())
    silent = rank(legs(), 50, None, Steps(), {"keyword": 0.0})
    assert silent.documents.tolist() == alone.documents.tolist()
    assert {silent.parts(n)["keyword_share"] for n in range(50)} == {0.0}
