"""Judged questions as levers see them: for each the documents that may come up, and what each leg says of
them.

Everything is read from one state of the index, once. From then on settings are compared in memory, by the
very functions that a search adds its legs up with, see `indexing.search.fuse`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from indexing.names import DEFAULT_MODE
from indexing.search.fuse import LegScores, shares
from indexing.search.legs.base import Scale
from indexing.search.probe import Probe, Trace
from indexing.search.ranking import FIRST_DEPTH
from indexing.search.settings import Memory, SearchSettings

__all__ = ["CUT", "LEG_NAMES", "Judged", "Pool", "TuningData", "make_data", "make_memory", "worth_of"]

CUT = 10
"""What is learned is NDCG at so many documents: what people look at."""
# Past questions whose answers are looked at beside what a question finds by itself.
NEAR_QUESTIONS = 20
# Cosine of two questions from which they are held to be one: both are in the same fold.
SAME_QUESTION = 0.9

Progress = Callable[[int, int], None]

LEG_NAMES = ("semantic", "keyword", "memory")
DISCOUNTS = 1.0 / np.log2(np.arange(2, CUT + 2))


class Judged(Protocol):
    """A judged question: what identifies it, how it was asked, and document id → grade, 0 for a wrong one."""

    @property
    def id(self) -> str: ...

    @property
    def text(self) -> str: ...

    @property
    def grades(self) -> Mapping[str, int]: ...


@dataclass(frozen=True)
class Pool:
    """The n documents that may come up for one question.

    Attributes:
        ids: of the documents.
        gains: their grades, 0 where there is none, float64 [n].
        judged: whether there is a grade, bool [n].
        ideal: DCG of the best order there could be.
        semantic: scores of the best passage of each by the question's own vector, float32 [n].
        semantic_scale: of these over the collection.
        words: scores of the keyword leg, float32 [n]; words_scale likewise.
        by_words: whether the keyword leg finds it among its best, bool [n].
        features: name → float64 [n].
        boosts: float64 [n].
        rows: positions of its passages in the passages of all pools, int64 [m], and whose they are,
            ascending: `owners` int64 [m].
    """

    ids: tuple[str, ...]
    gains: np.ndarray
    judged: np.ndarray
    ideal: float
    semantic: np.ndarray
    semantic_scale: Scale
    words: np.ndarray
    words_scale: Scale
    by_words: np.ndarray
    features: Mapping[str, np.ndarray]
    boosts: np.ndarray
    rows: np.ndarray
    owners: np.ndarray

    def ndcg(self, scores: np.ndarray, allowed: np.ndarray) -> float:
        """NDCG at `CUT` of the order by `scores` of the documents that are `allowed`."""
        order = np.lexsort((np.arange(len(scores)), -np.where(allowed, scores, -np.inf)))[:CUT]
        gains = np.where(allowed[order], self.gains[order], 0.0)
        return float((gains * DISCOUNTS[: len(gains)]).sum() / self.ideal) if self.ideal else 0.0


@dataclass
class TuningData:
    """What levers learn from.

    Attributes:
        probe: the state of the index.
        questions: judged ones, each with at least one relevant document that there is.
        pools: of each question.
        vectors: of the questions by the generation's own model, float32 [questions, d].
        passages: of all pools, float32 [rows, d] of length 1.
        mode: in which the gain is measured.
        start: the settings that are live.
        folds: of each question, so that the same question in other words is in one fold, int64 [questions].
    """

    probe: Probe
    questions: list[Judged]
    pools: list[Pool]
    vectors: np.ndarray
    passages: np.ndarray
    mode: str
    start: SearchSettings
    folds: np.ndarray
    _positions: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._positions = {question.id: at for at, question in enumerate(self.questions)}

    def positions(self, questions: Sequence[Judged]) -> np.ndarray:
        """Where `questions` are, int64; those without a relevant document are not there."""
        found = (self._positions.get(question.id) for question in questions)
        return np.asarray([at for at in found if at is not None], np.int64)

    def head_vectors(self, settings: SearchSettings) -> np.ndarray:
        """What the semantic leg searches with."""
        return self.vectors if settings.head is None else settings.head(self.vectors)

    def semantic_of(self, at: int, vector: np.ndarray) -> tuple[np.ndarray, Scale]:
        """Scores of the documents of a pool by another vector float32 [d], and their scale."""
        pool = self.pools[at]
        scores = np.zeros(len(pool.ids), np.float32)
        if len(pool.rows):
            cosines = self.passages[pool.rows] @ vector
            first = np.flatnonzero(np.diff(pool.owners, prepend=-1))
            scores[pool.owners[first]] = np.maximum.reduceat(cosines, first)
        return scores, Scale(*self.probe.spread(vector))

    def ndcg(
        self,
        settings: SearchSettings,
        positions: Sequence[int] | np.ndarray,
        *,
        worth: Mapping[int, np.ndarray] | None = None,
    ) -> np.ndarray:
        """NDCG of the questions at `positions` by `settings`, float64. `worth` position → float64 [n] takes
        the place of what the memory of the settings says.
        """
        vectors = None if settings.head is None else settings.head(self.vectors[positions])
        return np.asarray(
            [
                self._one(settings, int(at), None if vectors is None else vectors[row], worth)
                for row, at in enumerate(positions)
            ]
        )

    def _one(
        self,
        settings: SearchSettings,
        at: int,
        vector: np.ndarray | None,
        worth: Mapping[int, np.ndarray] | None,
    ) -> float:
        pool = self.pools[at]
        table, allowed = self.table(settings, at, vector, None if worth is None else worth.get(at))
        if self.mode == "semantic":
            return pool.ndcg(table["semantic"], allowed)
        weights = {**{name: settings.weights.get(name, 1.0) for name in LEG_NAMES}, **settings.features}
        total = pool.boosts + sum(weights.get(name, 0.0) * row for name, row in table.items())
        return pool.ndcg(total, allowed)

    def table(
        self,
        settings: SearchSettings,
        at: int,
        vector: np.ndarray | None = None,
        worth: np.ndarray | None = None,
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """What each leg adds at weight 1, and each feature, float64 [n]; and which documents come up, bool
        [n].

        `vector` is the mapped one where the settings have a head; `worth` is the memory's.
        """
        pool = self.pools[at]
        scores, scale = pool.semantic, pool.semantic_scale
        if settings.head is not None:
            vector = settings.head(self.vectors[at : at + 1])[0] if vector is None else vector
            scores, scale = self.semantic_of(at, vector)
        if worth is None and settings.memory is not None:
            worth = worth_of(pool, settings.memory.recall(self.vectors[at]))
        legs = [
            LegScores("semantic", "similarity", scores, scale),
            LegScores("keyword", "frequency", pool.words, pool.words_scale),
        ]
        near = np.zeros(len(scores), bool)
        near[np.lexsort((np.arange(len(scores)), -scores))[:FIRST_DEPTH]] = True
        if self.mode == "semantic":
            return {"semantic": scores.astype(np.float64)}, near
        allowed = near | pool.by_words
        if worth is not None:
            legs.append(LegScores("memory", "frequency", worth.astype(np.float32), Scale(0.0, 1.0)))
            allowed = allowed | (worth > 0)
        rows = dict(zip((leg.name for leg in legs), shares(legs), strict=True))
        return {**rows, **pool.features}, allowed


def worth_of(pool: Pool, recalled: Mapping[str, float]) -> np.ndarray:
    """What a memory says of the documents of a pool, float64 [n]."""
    return np.asarray([recalled.get(id_, 0.0) for id_ in pool.ids], np.float64)


def make_memory(data: TuningData, positions: np.ndarray, reach: float, neighbours: int) -> Memory:
    """The judged answers of the questions at `positions`: each relevant document is worth its grade over the
    question's best.
    """
    answers = []
    for at in positions.tolist():
        grades = {id_: grade for id_, grade in data.questions[at].grades.items() if grade > 0}
        best = max(grades.values())
        answers.append({id_: grade / best for id_, grade in grades.items()})
    return Memory(np.ascontiguousarray(data.vectors[positions]), tuple(answers), reach, neighbours)


def make_data(
    probe: Probe, questions: Sequence[Judged], *, mode: str = DEFAULT_MODE, progress: Progress | None = None
) -> TuningData:
    """Reads what is needed of each of `questions`. Those without a relevant document in the index are left
    out: nothing can be learned from them.

    `progress` gets how many questions are read, and how many there are.
    """
    candidates = [question for question in questions if any(grade > 0 for grade in question.grades.values())]
    there = probe.texts({id_ for question in candidates for id_ in question.grades})
    candidates = [q for q in candidates if any(grade > 0 and id_ in there for id_, grade in q.grades.items())]
    vectors = probe.encode([question.text for question in candidates])
    plain = SearchSettings(boosts=probe.settings.boosts)
    near = _near_answers(candidates, vectors)
    traces = []
    for at, question in enumerate(candidates):
        include = {*question.grades, *near[at]}
        traces.append(probe.trace(question.text, vector=vectors[at], settings=plain, include=include))
        if progress is not None:
            progress(at + 1, len(candidates))
    rows, passages = _all_passages(probe, traces)
    pools = [_make_pool(question, trace, rows) for question, trace in zip(candidates, traces, strict=True)]
    return TuningData(
        probe,
        candidates,
        pools,
        vectors,
        passages,
        mode,
        probe.settings,
        make_folds(candidates, vectors),
    )


def _near_answers(questions: Sequence[Judged], vectors: np.ndarray) -> list[set[str]]:
    """Of each question the relevant documents of those near it."""
    found = []
    for at in range(len(questions)):
        near = vectors @ vectors[at]
        near[at] = -1.0
        nearest = np.argsort(-near, kind="stable")[:NEAR_QUESTIONS]
        found.append(
            {id_ for other in nearest.tolist() for id_, g in questions[other].grades.items() if g > 0}
        )
    return found


def _all_passages(probe: Probe, traces: Sequence[Trace]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Document id → the rows of its passages in all passages; and these, float32 [rows, d] of length 1."""
    ids = sorted({id_ for trace in traces for id_ in trace.ids})
    vectors = probe.vectors(ids)
    rows, parts, at = {}, [], 0
    for id_ in ids:
        if id_ in vectors:
            rows[id_] = np.arange(at, at + len(vectors[id_]))
            parts.append(vectors[id_])
            at += len(vectors[id_])
    passages = np.concatenate(parts) if parts else np.empty((0, probe.generation.dimension), np.float32)
    return rows, np.ascontiguousarray(passages, np.float32)


def _make_pool(question: Judged, trace: Trace, rows: Mapping[str, np.ndarray]) -> Pool:
    grades = question.grades
    gains = np.asarray([max(grades.get(id_, 0), 0) for id_ in trace.ids], np.float64)
    best = sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:CUT]
    legs = {name: at for at, name in enumerate(trace.legs)}
    semantic, words = legs["semantic"], legs["keyword"]
    theirs = [rows.get(id_, np.empty(0, np.int64)) for id_ in trace.ids]
    return Pool(
        ids=tuple(trace.ids),
        gains=gains,
        judged=np.asarray([id_ in grades for id_ in trace.ids], bool),
        ideal=float((np.asarray(best, np.float64) * DISCOUNTS[: len(best)]).sum()),
        semantic=trace.scores[semantic],
        semantic_scale=Scale(*trace.scales[semantic]),
        words=trace.scores[words],
        words_scale=Scale(*trace.scales[words]),
        by_words=trace.found[words],
        features=trace.features,
        boosts=trace.boosts,
        rows=np.concatenate([*theirs, np.empty(0, np.int64)]).astype(np.int64),
        owners=np.repeat(np.arange(len(theirs)), [len(one) for one in theirs]),
    )


FOLDS = 5


def make_folds(questions: Sequence[Judged], vectors: np.ndarray, folds: int = FOLDS) -> np.ndarray:
    """The fold of each question, by the hash of the first of those that are nearly the same; int64 [n]."""
    leader = np.arange(len(questions))
    order = sorted(range(len(questions)), key=lambda at: questions[at].id)
    for at in order:
        if leader[at] != at:
            continue
        same = np.flatnonzero(vectors @ vectors[at] >= SAME_QUESTION)
        leader[same[leader[same] == same]] = at
    ids = sorted({questions[int(at)].id for at in leader})
    number = {id_: place % folds for place, id_ in enumerate(ids)}
    return np.asarray([number[questions[int(at)].id] for at in leader], np.int64)
