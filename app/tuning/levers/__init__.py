"""What can be learned, a file each. A lever fits in memory: cross-validation and the gate fit it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from app.tuning.data import TuningData
from indexing.search.settings import SearchSettings

__all__ = ["CvReport", "Fitted", "Lever", "Stack", "Tell", "choose", "judge_gains"]

Tell = Callable[[str, float], None]
"""Called while a lever works: what it tries, and the mean gain that this has in cross-validation."""

# A gain of fewer standard errors is no reason to change anything: the best of several settings has one by
# luck.
LEAST_ERRORS = 1.0
NEAR_BEST = 0.5


@dataclass(frozen=True)
class CvReport:
    """What cross-validation says of the best setting: mean gain of NDCG@10, its standard error, how many
    questions, and what was chosen.
    """

    gain: float
    error: float
    questions: int
    chosen: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Stack:
    """What was learned so far: from all questions, and for each fold from the questions of the others. By the
    latter the questions of a fold are asked: what was learned from them says nothing about them.
    """

    whole: SearchSettings
    by_fold: Mapping[int, SearchSettings]

    @classmethod
    def of(cls, settings: SearchSettings, folds: np.ndarray) -> Stack:
        """Where nothing was learned from the questions."""
        return cls(settings, dict.fromkeys(np.unique(folds).tolist(), settings))

    def ndcg(self, data: TuningData, positions: np.ndarray) -> np.ndarray:
        """Of the questions at `positions`, each by what others taught; float64."""
        values = np.zeros(len(positions))
        folds = data.folds[positions]
        for fold in np.unique(folds).tolist():
            values[folds == fold] = data.ndcg(self.by_fold[fold], positions[folds == fold])
        return values


@dataclass(frozen=True)
class Fitted:
    """What a lever made of the questions it was given; None in place of it means that nothing helps."""

    lever: str
    stack: Stack
    cv: CvReport
    note: str


class Lever(Protocol):
    """One thing that can be learned."""

    @property
    def name(self) -> str: ...

    def fit(self, data: TuningData, positions: np.ndarray, start: Stack, tell: Tell) -> Fitted | None:
        """Learns from the questions at `positions` (int64), on top of `start`; None if cross-validation finds
        nothing that helps.
        """
        ...


def judge_gains(gains: np.ndarray, chosen: dict[str, Any]) -> CvReport:
    """The report on paired gains float64 [n]."""
    count = len(gains)
    error = float(gains.std(ddof=1) / np.sqrt(count)) if count > 1 else float("inf")
    return CvReport(float(gains.mean()) if count else 0.0, error, count, chosen)


def choose(reports: Sequence[CvReport]) -> CvReport | None:
    """The best of reports on the same questions, the mildest setting first; None where none is worth a
    change.

    Of those within half a standard error of the best the mildest is taken: what looks best among many is so
    by luck, in part.
    """
    if not reports:
        return None
    best = max(reports, key=lambda report: report.gain)
    near = next(report for report in reports if report.gain >= best.gain - NEAR_BEST * best.error)
    return near if near.gain > 0 and near.gain > LEAST_ERRORS * near.error else None
