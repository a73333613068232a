"""What can be learned, a file each. A lever fits in memory: cross-validation and the gate fit it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from app.tuning.data import TuningData
from indexing.search.settings import SearchSettings

__all__ = ["CvReport", "Fitted", "Lever", "Tell", "helps", "judge_gains"]

Tell = Callable[[str, float], None]
"""Called while a lever works: what it tries, and the mean gain that this has in cross-validation."""

# A gain of fewer standard errors is no reason to change anything: the best of several settings has one by
# luck.
LEAST_ERRORS = 1.0


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
class Fitted:
    """What a lever made of all the questions it was given; None in place of it means that nothing helps."""

    lever: str
    settings: SearchSettings
    cv: CvReport
    note: str


class Lever(Protocol):
    """One thing that can be learned."""

    @property
    def name(self) -> str: ...

    def fit(
        self, data: TuningData, positions: np.ndarray, start: SearchSettings, tell: Tell
    ) -> Fitted | None:
        """Learns from the questions at `positions` (int64), on top of `start`; None if cross-validation finds
        nothing that helps.
        """
        ...


def judge_gains(gains: np.ndarray, chosen: dict[str, Any]) -> CvReport:
    """The report on paired gains float64 [n]."""
    count = len(gains)
    error = float(gains.std(ddof=1) / np.sqrt(count)) if count > 1 else float("inf")
    return CvReport(float(gains.mean()) if count else 0.0, error, count, chosen)


def helps(report: CvReport) -> bool:
    """Whether a gain is one that is worth a change."""
    return report.gain > 0 and report.gain > LEAST_ERRORS * report.error
