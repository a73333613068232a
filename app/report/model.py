"""What a report holds: plain values, so that one that was kept can be drawn again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

__all__ = [
    "SHOWN",
    "TESTED",
    "Answer",
    "Coverage",
    "Difference",
    "Measured",
    "Metric",
    "Report",
    "System",
]

TESTED = ("NDCG@10", "MRR@10", "Recall@10")
"""Metrics whose differences are tested; the first decides which system is called best."""

SHOWN = 5
"""Answers of each question that are kept, for reading side by side."""


@dataclass(frozen=True)
class System:
    """One way of searching.

    Attributes:
        serving: its id.
        mode: of the search.
        rerank: a model; empty for none, None for the reranker of the serving.
        precision: how vectors are stored; None as the serving has them.
    """

    serving: int
    mode: str
    rerank: str | None = None
    precision: str | None = None


@dataclass(frozen=True)
class Metric:
    """The mean over questions, and the interval that holds it with 95 %."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """A system's mean less that of the baseline, over the same questions.

    Attributes:
        low, high: interval of 95 %.
        p: of "it is chance", two-sided; p_holm: the same, corrected for all systems that are compared.
        smallest: what as many questions would have shown with 80 %.
        wins, losses: questions on which the system is better, or worse.
    """

    mean: float
    low: float
    high: float
    p: float
    p_holm: float
    smallest: float
    wins: int
    losses: int


@dataclass(frozen=True)
class Measured:
    """What was found of one system.

    Attributes:
        letter: by which it is told in plots and tables.
        name: in words; fingerprints: of what it searches and reads with, by what it is.
        tuned: whether it has learned from judgments.
        metrics: by name; values: metric → question → value.
        differences: by metric; empty for the baseline.
        judged: share of the first ten answers that somebody judged.
        latency: median of a search, in milliseconds, and slow the time that nineteen of twenty stay below.
        memory: bytes of the vectors that a search goes through.
        answers: question → ids of the first `SHOWN`.
    """

    letter: str
    name: str
    system: System
    model: str
    precision: str
    reranker: str
    fingerprints: Mapping[str, str]
    tuned: bool
    metrics: Mapping[str, Metric]
    values: Mapping[str, Mapping[str, float]]
    differences: Mapping[str, Difference]
    judged: float
    latency: float
    slow: float
    memory: int
    answers: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Coverage:
    """Text of the collection and the vectors of what is live.

    Attributes:
        documents: that were looked at, of `all_documents`.
        without: documents with no vector; examples: ids of some.
        characters: of their texts, spaces left out; uncovered: of those no passage has.
        passages, cut: all, and those longer than the model reads; limit: that, in tokens, None without one.
        counted: whether passages could be counted in tokens.
    """

    documents: int
    all_documents: int
    without: int
    examples: tuple[str, ...]
    characters: int
    uncovered: int
    passages: int
    cut: int
    limit: int | None
    counted: bool


@dataclass(frozen=True)
class Answer:
    """A document as it stands in an answer: its title, or how its text begins."""

    title: str
    beginning: str


@dataclass(frozen=True)
class Report:
    """Everything that a report says.

    Attributes:
        at: when it was made, ISO 8601; who: made it; seconds: that it took.
        seq: where the collection's log stood.
        source, split, judgments: which judgments, and their fingerprint.
        questions: id → text; grades: id → document → grade.
        systems: the baseline first.
        missing: documents judged relevant that are not in the collection.
        notes: what a reader should know.
        command: makes the same report.
    """

    collection: str
    uuid: str
    at: str
    who: str
    seconds: float
    seq: int
    version: str
    machine: str
    source: str
    split: str
    side: str
    judgments: str
    questions: Mapping[str, str]
    grades: Mapping[str, Mapping[str, int]]
    systems: tuple[Measured, ...]
    missing: int
    coverage: Coverage
    documents: Mapping[str, Answer]
    timed: int
    command: str
    notes: tuple[str, ...] = field(default=())

    @property
    def baseline(self) -> Measured:
        return self.systems[0]

    @property
    def best(self) -> Measured:
        """That of the highest mean; of equal ones the first."""
        return max(self.systems, key=lambda one: one.metrics[TESTED[0]].mean)

    @property
    def challenger(self) -> Measured | None:
        """The best of those that are compared with the baseline."""
        return max(self.systems[1:], key=lambda one: one.metrics[TESTED[0]].mean, default=None)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Report:
        """What `to_dict` made.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: it is none.
        """
        given = {one.name: kept[one.name] for one in fields(cls)}
        given["systems"] = tuple(_measured(one) for one in kept["systems"])
        given["coverage"] = _make(Coverage, kept["coverage"], examples=tuple(kept["coverage"]["examples"]))
        given["documents"] = {id_: _make(Answer, one) for id_, one in kept["documents"].items()}
        given["notes"] = tuple(map(str, kept["notes"]))
        if not given["systems"]:
            raise ValueError("a report without systems")
        return cls(**given)


_Made = TypeVar("_Made")


def _make(kind: type[_Made], kept: Mapping[str, Any], **instead: Any) -> _Made:
    given = {name: kept[name] for name in kind.__dataclass_fields__}  # type: ignore[attr-defined]
    return kind(**{**given, **instead})


def _measured(kept: Mapping[str, Any]) -> Measured:
    return _make(
        Measured,
        kept,
        system=_make(System, kept["system"]),
        metrics={name: _make(Metric, one) for name, one in kept["metrics"].items()},
        differences={name: _make(Difference, one) for name, one in kept["differences"].items()},
        answers={id_: tuple(ids) for id_, ids in kept["answers"].items()},
    )
