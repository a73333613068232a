"""What a tune did, and how it is told while it lasts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from app.tuning.gate.model import GateReport

__all__ = ["EMBED", "LEARN", "READ", "TEST", "LeverReport", "TuneProgress", "TuneReport", "TuneStep"]

READ, LEARN, EMBED, TEST = "read", "learn", "embed", "test"


@dataclass(frozen=True)
class TuneStep:
    """Where a tune is.

    Attributes:
        stage: `READ` the questions, `LEARN`, `EMBED` documents anew, or `TEST` by the gate.
        done: of `total` (None: unknown) in this stage.
        lever, what, gain: while it learns: what was tried, and its mean gain in cross-validation; a loss
            where `what` begins with it.
    """

    stage: str
    done: int
    total: int | None = None
    lever: str = ""
    what: str = ""
    gain: float | None = None


TuneProgress = Callable[[TuneStep], None]


@dataclass(frozen=True)
class LeverReport:
    """What became of one lever: gain and its standard error are those of cross-validation, for what was
    chosen, or the best that was tried (`error` None) where nothing was kept.
    """

    lever: str
    kept: bool
    gain: float
    error: float | None
    note: str
    chosen: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TuneReport:
    """What a tune did.

    Attributes:
        lever: that was asked for.
        candidate: the serving that was made; None where nothing helps.
        gate: its test; None without a candidate.
        promoted: whether it is live now.
        questions: how many it learned from.
        levers: what became of each.
        sentence: it in one.
        seconds: it took.
    """

    collection: str
    lever: str
    candidate: int | None
    gate: GateReport | None
    promoted: bool
    questions: int
    levers: tuple[LeverReport, ...]
    sentence: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "collection": self.collection,
            "lever": self.lever,
            "candidate": self.candidate,
            "gate": None if self.gate is None else self.gate.to_dict(),
            "promoted": self.promoted,
            "questions": self.questions,
            "levers": [asdict(one) for one in self.levers],
            "sentence": self.sentence,
            "seconds": self.seconds,
        }
