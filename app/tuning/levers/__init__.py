"""What can be learned, a file each. A lever fits in memory: cross-validation and the gate fit it again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from app.tuning.legs import View
from indexing.search.settings import SearchSettings

__all__ = ["LOSS", "CvReport", "Fitted", "Lever", "Tell", "choose", "helps", "judge_gains"]

Tell = Callable[[str, float], None]
"""Called while a lever works: what it tries, and the mean gain that this has in cross-validation. Where the
first begins with `LOSS` the second is a loss of training.
"""

LOSS = "loss"

# The best of several settings has a gain by luck: what counts is the gain less so many standard errors, which
# also prefers what changes little. 0 is what leaving everything as it is has.
DOUBT = 1.0
# Of few questions the error itself is hardly known: measured on parts of train judgments of four collections,
# this many errors leave levers off that lost there, and keep most of what was gained.
FEW, DOUBT_OF_FEW = 100, 1.5


@dataclass(frozen=True)
class CvReport:
    """What cross-validation says of a setting: mean gain of NDCG@10, its standard error, how many questions,
    and what was chosen.
    """

    gain: float
    error: float
    questions: int
    chosen: dict[str, Any]

    @property
    def sure(self) -> float:
        """The gain that one can count on."""
        return self.gain - DOUBT * self.error

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a lever made of all the questions it was given; None in place of it means that nothing helps.

    Attributes:
        view: how the questions look to what comes after; None where nothing may come.
        made: a model that was trained and is not saved yet.
        model: folder of a saved one that takes the place of the generation's.
    """

    lever: str
    settings: SearchSettings
    cv: CvReport
    note: str
    view: View | None = None
    made: Any = None
    model: str | None = None


class Lever(Protocol):
    """One thing that can be learned."""

    @property
    def name(self) -> str: ...

    def fit(self, view: View, start: SearchSettings, tell: Tell) -> Fitted | None:
        """Learns from the questions of `view`, on top of `start`; None if cross-validation finds nothing that
        helps.
        """
        ...


def judge_gains(gains: np.ndarray, chosen: dict[str, Any]) -> CvReport:
    """The report on paired gains float64 [n]."""
    count = len(gains)
    error = float(gains.std(ddof=1) / np.sqrt(count)) if count > 1 else float("inf")
    return CvReport(float(gains.mean()) if count else 0.0, error, count, chosen)


def helps(report: CvReport) -> bool:
    """Whether there is a gain that one can count on."""
    return report.sure > 0


def choose(reports: Sequence[CvReport]) -> CvReport | None:
    """The one with the largest gain that is sure, the first of equals; None where none has any."""
    best = max(reports, key=_surely, default=None)
    return best if best is not None and _surely(best) > 0 else None


def _surely(report: CvReport) -> float:
    doubt = DOUBT if report.questions >= FEW else DOUBT_OF_FEW
    return report.gain - doubt * report.error
