"""Judged questions as levers see them: for each the documents that may come up, and what each leg says of
them.

Everything is read from one state of the index, once. From then on settings are compared in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from indexing.names import DEFAULT_MODE, FEATURES
from indexing.search.probe import Probe, Trace
from indexing.search.settings import Memory, SearchSettings
from stlib.util.forks import cached_property

__all__ = [
    "CUT",
    "DISCOUNTS",
    "FEWEST",
    "Judged",
    "Pool",
    "TuningData",
    "answers_of",
    "make_data",
    "make_memory",
]

CUT = 10
"""What is learned is NDCG at so many documents: what people look at."""
FEWEST = 10
"""Fewer judged questions say nothing of others."""
# Past questions whose answers are looked at beside what a question finds by itself.
NEAR_QUESTIONS = 30
# Cosine of two questions from which they are held to be one: both are in the same fold.
SAME_QUESTION = 0.9
# Few questions are worth the time of more folds: each fit then sees nearly all of them.
MOST_FOLDS, FOLDS, MANY = 10, 5, 300

DISCOUNTS = 1.0 / np.log2(np.arange(2, CUT + 2))

Progress = Callable[[int, int], None]


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
    """The n documents that may come up for one question; see `TuningData`, of which it is a row.

    Attributes:
        ids: of the documents.
        judged: whether there is a grade, bool [n].
    """

    ids: tuple[str, ...]
    gains: np.ndarray
    judged: np.ndarray
    ideal: float
    semantic: np.ndarray
    words: np.ndarray
    by_words: np.ndarray


@dataclass
class TuningData:
    """What levers learn from: n questions, each with up to p documents in the order of their keys, and d
    dimensions.

    Attributes:
        probe: the state of the index.
        mode: in which the gain is measured.
        questions: each with at least one relevant document that there is.
        vectors: of the questions by the generation's own model, float32 [n, d].
        documents: of each question, id → column.
        real: which columns hold a document, bool [n, p].
        gains: grades, 0 where there is none, float64 [n, p].
        ideal: DCG of the best order there could be, float64 [n].
        semantic: scores of the best passage by the question's own vector, float32 [n, p].
        semantic_scale: their centre and spread over the collection, float64 [n, 2].
        words: scores of the keyword leg, float32 [n, p]; words_scale likewise.
        by_words: whether the keyword leg finds it among its best, bool [n, p].
        terms: scores of the leg of weighted terms, float32 [n, p], None where the collection has none;
            terms_scale and by_terms likewise.
        features: float64 [features, n, p], in the order of `indexing.names.FEATURES`.
        boosts: float64 [n, p].
        passages: of all documents, float32 [passages, d] of length 1.
        rows: of each question, positions of the passages of its documents in `passages`, int64 [m], and
            `owners`: their columns, ascending, int64 [m].
        folds: of each question; the same question in other words is in the same, int64 [n].
    """

    probe: Probe
    mode: str
    questions: list[Judged]
    vectors: np.ndarray
    documents: list[dict[str, int]]
    real: np.ndarray
    gains: np.ndarray
    ideal: np.ndarray
    semantic: np.ndarray
    semantic_scale: np.ndarray
    words: np.ndarray
    words_scale: np.ndarray
    by_words: np.ndarray
    terms: np.ndarray | None
    terms_scale: np.ndarray
    by_terms: np.ndarray
    features: np.ndarray
    boosts: np.ndarray
    passages: np.ndarray
    rows: list[np.ndarray]
    owners: list[np.ndarray]
    folds: np.ndarray
    places: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.places = {question.id: at for at, question in enumerate(self.questions)}

    def positions(self, questions: Sequence[Judged]) -> np.ndarray:
        """Where `questions` are, int64, ascending; those without a relevant document are not there."""
        return np.asarray(sorted(self.places[one.id] for one in questions if one.id in self.places), np.int64)

    @cached_property
    def firsts(self) -> list[np.ndarray]:
        """Of each question, where the passages of each document begin in `rows`."""
        return [np.flatnonzero(np.diff(owners, prepend=-1)) for owners in self.owners]

    @cached_property
    def pools(self) -> list[Pool]:
        """What is known of the documents of each question, one by one."""
        return [self._pool(at) for at in range(len(self.questions))]

    def _pool(self, at: int) -> Pool:
        ids, many = tuple(self.documents[at]), len(self.documents[at])
        grades = self.questions[at].grades
        return Pool(
            ids,
            self.gains[at, :many],
            np.asarray([id_ in grades for id_ in ids], bool),
            float(self.ideal[at]),
            self.semantic[at, :many],
            self.words[at, :many],
            self.by_words[at, :many],
        )

    def semantic_by(self, positions: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`semantic` [m, p] and `semantic_scale` [m, 2] of the questions at `positions` by other vectors,
        float32 [m, d].
        """
        scores = np.zeros((len(positions), self.real.shape[1]), np.float32)
        for row, at in enumerate(positions.tolist()):
            if len(self.rows[at]):
                cosines, first = self.passages[self.rows[at]] @ vectors[row], self.firsts[at]
                scores[row, self.owners[at][first]] = np.maximum.reduceat(cosines, first)
        return scores, self.probe.spreads(vectors)

    def worth_by(self, positions: np.ndarray, recalled: Sequence[Mapping[str, float]]) -> np.ndarray:
        """What a memory says of the documents of the questions at `positions`, float32 [m, p]."""
        worth = np.zeros((len(positions), self.real.shape[1]), np.float32)
        for row, at in enumerate(positions.tolist()):
            columns = self.documents[at]
            for id_, value in recalled[row].items():
                column = columns.get(id_)
                if column is not None:
                    worth[row, column] = value
        return worth

    def ndcg(self, positions: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """NDCG of the order by `scores` float64 [m, p], -inf for what does not come up: float64 [m]."""
        ordered = np.argsort(-scores.astype(np.float32), axis=1, kind="stable")[:, :CUT]
        there = np.isfinite(np.take_along_axis(scores, ordered, axis=1))
        gains = np.where(there, np.take_along_axis(self.gains[positions], ordered, axis=1), 0.0)
        return (gains * DISCOUNTS[: gains.shape[1]]).sum(axis=1) / self.ideal[positions]


def answers_of(question: Judged) -> dict[str, float]:
    """What a memory holds of a question: each relevant document is worth its grade over the best there is."""
    grades = {id_: grade for id_, grade in question.grades.items() if grade > 0}
    best = max(grades.values(), default=1)
    return {id_: grade / best for id_, grade in grades.items()}


def make_memory(data: TuningData, positions: np.ndarray, reach: float, neighbours: int) -> Memory:
    """A memory of the judged answers of the questions at `positions`."""
    answers = tuple(answers_of(data.questions[at]) for at in positions.tolist())
    return Memory(np.ascontiguousarray(data.vectors[positions]), answers, reach, neighbours)


def make_data(
    probe: Probe, questions: Sequence[Judged], *, mode: str = DEFAULT_MODE, progress: Progress | None = None
) -> TuningData:
    """Reads what is needed of each of `questions`. Those without a relevant document in the index are left
    out: nothing can be learned from them.

    `progress` gets how many questions are read, and how many there are.
    """
    there = set(probe.texts({id_ for question in questions for id_ in question.grades}))
    kept = [
        question
        for question in sorted(questions, key=lambda one: one.id)
        if any(grade > 0 and id_ in there for id_, grade in question.grades.items())
    ]
    vectors = (
        probe.encode([one.text for one in kept]) if kept else np.zeros((0, probe.generation.dimension), "f4")
    )
    plain = SearchSettings(boosts=probe.settings.boosts)
    traces = []
    for at, question in enumerate(kept):
        near = _nearest(vectors, at)
        include = {*question.grades, *(id_ for other in near for id_ in answers_of(kept[other]))}
        traces.append(probe.trace(question.text, vector=vectors[at], settings=plain, include=include))
        if progress is not None:
            progress(at + 1, len(kept))
    return _lay_out(probe, mode, kept, vectors, traces)


def _nearest(vectors: np.ndarray, at: int) -> list[int]:
    near = vectors @ vectors[at]
    near[at] = -1.0
    nearest = np.argsort(-near, kind="stable")[:NEAR_QUESTIONS].tolist()
    return [one for one in nearest if one != at]


def _lay_out(
    probe: Probe, mode: str, questions: list[Judged], vectors: np.ndarray, traces: list[Trace]
) -> TuningData:
    shape = (len(traces), max((len(trace.ids) for trace in traces), default=1))
    real, by_words, by_terms = (np.zeros(shape, bool) for _ in range(3))
    semantic, words, terms = (np.zeros(shape, np.float32) for _ in range(3))
    has_terms = bool(traces) and "sparse" in traces[0].legs
    gains, boosts = np.zeros(shape), np.zeros(shape)
    features = np.zeros((len(FEATURES), *shape))
    scales = np.zeros((3, len(traces), 2))
    ideal = np.ones(len(traces))
    for row, (question, trace) in enumerate(zip(questions, traces, strict=True)):
        many = slice(0, len(trace.ids))
        real[row, many] = True
        by_meaning, by_word = trace.legs.index("semantic"), trace.legs.index("keyword")
        semantic[row, many], words[row, many] = trace.scores[by_meaning], trace.scores[by_word]
        scales[:2, row] = trace.scales[[by_meaning, by_word]]
        by_words[row, many] = trace.found[by_word]
        if has_terms:
            by_term = trace.legs.index("sparse")
            terms[row, many], by_terms[row, many] = trace.scores[by_term], trace.found[by_term]
            scales[2, row] = trace.scales[by_term]
        gains[row, many] = [max(question.grades.get(id_, 0), 0) for id_ in trace.ids]
        boosts[row, many] = trace.boosts
        features[:, row, many] = [trace.features[name] for name in FEATURES]
        best = np.sort([grade for grade in question.grades.values() if grade > 0])[::-1][:CUT]
        ideal[row] = (best * DISCOUNTS[: len(best)]).sum()
    at, passages = _all_passages(probe, traces)
    none = np.empty(0, np.int64)
    theirs = [[at.get(id_, none) for id_ in trace.ids] for trace in traces]
    return TuningData(
        probe=probe,
        mode=mode,
        questions=questions,
        vectors=vectors,
        documents=[{id_: column for column, id_ in enumerate(trace.ids)} for trace in traces],
        real=real,
        gains=gains,
        ideal=ideal,
        semantic=semantic,
        semantic_scale=scales[0],
        words=words,
        words_scale=scales[1],
        by_words=by_words,
        terms=terms if has_terms else None,
        terms_scale=scales[2],
        by_terms=by_terms,
        features=features,
        boosts=boosts,
        passages=passages,
        rows=[np.concatenate([none, *one]) for one in theirs],
        owners=[np.repeat(np.arange(len(one)), [len(rows) for rows in one]) for one in theirs],
        folds=make_folds(questions, vectors),
    )


def _all_passages(probe: Probe, traces: Sequence[Trace]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Document id → the rows of its passages in all passages; and these, float32 [rows, d]."""
    ids = sorted({id_ for trace in traces for id_ in trace.ids})
    found = probe.vectors(ids) if ids else {}
    rows, at = {}, 0
    for id_ in ids:
        if id_ in found:
            rows[id_] = np.arange(at, at + len(found[id_]))
            at += len(found[id_])
    passages = [found[id_] for id_ in rows]
    empty = np.empty((0, probe.generation.dimension), np.float32)
    return rows, np.ascontiguousarray(np.concatenate([empty, *passages]), np.float32)


def make_folds(questions: Sequence[Judged], vectors: np.ndarray) -> np.ndarray:
    """The fold of each question, int64 [n]: it follows from the questions alone, whatever their order."""
    count = FOLDS if len(questions) >= MANY else MOST_FOLDS
    leader = np.arange(len(questions))
    for at in sorted(range(len(questions)), key=lambda at: questions[at].id):
        if leader[at] == at:
            same = np.flatnonzero(vectors @ vectors[at] >= SAME_QUESTION)
            leader[same[leader[same] == same]] = at
    ids = sorted({questions[int(at)].id for at in leader})
    number = {id_: place % count for place, id_ in enumerate(ids)}
    return np.asarray([number[questions[int(at)].id] for at in leader], np.int64)
