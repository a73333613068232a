"""From judgments to what may become a candidate: reading, the levers in order, and learning again from a part
of the questions, as the gate asks.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from app.feedback.judged import Question
from app.tuning.auto import AUTO, CHEAP, fit_levers
from app.tuning.data import CUT, TuningData, make_data
from app.tuning.gate.test import Rank, Refit
from app.tuning.levers import LOSS, Fitted
from app.tuning.levers.full import FullLever
from app.tuning.levers.reranker import RerankerLever
from app.tuning.report import LEARN, READ, LeverReport, TuneProgress, TuneStep
from app.tuning.threshold import learn_threshold
from app.tuning.trained import candidates
from app.tuning.trained.candidates import rank_with
from indexing.names import DEFAULT_MODE
from indexing.search.settings import SearchSettings

if TYPE_CHECKING:
    from indexing import Collection
    from indexing.search.probe import Probe

__all__ = ["LEVERS", "TRAINED", "Learned", "estimate", "learn", "make_candidate", "refit_of"]

TRAINED = (RerankerLever.name, FullLever.name)
"""Those that train a model, which takes longer and needs torch. They are no part of `auto`."""
LEVERS = ("auto", *CHEAP, *TRAINED)
"""Names that a person may give."""


@dataclass(frozen=True, eq=False)
class Learned:
    """What levers made of the questions.

    Attributes:
        names: of the levers, in order.
        start: what they began with.
        fitted: what helped.
        settings: what came out.
        reports: what became of each lever; curves: everything that was tried.
        trainer: the lever, where it is one of `TRAINED`.
    """

    data: TuningData
    names: tuple[str, ...]
    start: SearchSettings
    fitted: list[Fitted]
    settings: SearchSettings
    reports: list[LeverReport]
    curves: list[dict[str, Any]] = field(default_factory=list)
    trainer: RerankerLever | FullLever | None = None

    @property
    def note(self) -> str:
        return "; ".join(one.note for one in self.fitted)


def learn(
    probe: Probe,
    questions: Sequence[Question],
    lever: str,
    *,
    unanswered: Iterable[Question] = (),
    mode: str = DEFAULT_MODE,
    progress: TuneProgress | None = None,
    model: str | None = None,
    shown: Mapping[str, Sequence[str]] | None = None,
) -> Learned:
    """Learns by `lever` from `questions`, on top of what `probe` sees; from `unanswered`, of which only wrong
    answers are known, learns what a weak answer is. Nothing is stored.

    `model` is what the levers of `TRAINED` train, in place of what is served; `shown` are documents that were
    shown and not chosen, by the ids of questions.
    """
    tell: TuneProgress = progress or _tell_nobody
    data = make_data(
        probe, questions, mode=mode, progress=lambda done, total: tell(TuneStep(READ, done, total))
    )
    names = AUTO if lever == "auto" else (lever,)
    start = _without(probe.settings, names)
    curves: list[dict[str, Any]] = []

    def note(lever: str, what: str, gain: float) -> None:
        curves.append({"lever": lever, "what": what, "gain": gain})
        tell(TuneStep(LEARN, len(curves), lever=lever, what=what, gain=gain))

    everything = np.arange(len(data.questions))
    if lever in TRAINED:
        trainer = RerankerLever(model) if lever == RerankerLever.name else FullLever(model, shown)
        one = trainer.fit(data, everything, start, partial(note, lever))
        settings, fitted = (start, []) if one is None else (one.settings, [one])
        reports = _reports(names, fitted, curves)
        return Learned(data, names, start, fitted, settings, reports, curves, trainer)
    settings, fitted = fit_levers(data, everything, names, start, note)
    if fitted and (view := fitted[-1].view) is not None:
        threshold = learn_threshold(data, view, settings, unanswered)
        settings = replace(settings, threshold=threshold)
    return Learned(data, names, start, fitted, settings, _reports(names, fitted, curves), curves)


def _tell_nobody(step: TuneStep) -> None:
    pass


def _without(settings: SearchSettings, names: Sequence[str]) -> SearchSettings:
    """What the levers `names` begin with: heads and memories are learned anew, from all that is known now."""
    if "query" in names:
        settings = replace(settings, head=None)
    if "memory" in names:
        weights = {leg: weight for leg, weight in settings.weights.items() if leg != "memory"}
        settings = replace(settings, memory=None, weights=weights)
    return settings


def _reports(
    names: Sequence[str], fitted: Sequence[Fitted], curves: Sequence[dict[str, Any]]
) -> list[LeverReport]:
    kept = {one.lever: one for one in fitted}
    reports = []
    for name in names:
        if (one := kept.get(name)) is not None:
            cv = one.cv
            reports.append(LeverReport(name, True, cv.gain, cv.error, one.note, dict(cv.chosen)))
            continue
        gains = [
            tried["gain"] for tried in curves if tried["lever"] == name and not tried["what"].startswith(LOSS)
        ]
        note = "helps too little to count on it" if gains else "too few questions, or nothing it could use"
        reports.append(LeverReport(name, False, max(gains, default=0.0), None, note))
    return reports


def make_candidate(
    collection: Collection,
    learned: Learned,
    judgments: str,
    *,
    made_from: int,
    known: Container[int],
    folder: Path,
    who: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """The serving of what was learned from the judgments with the fingerprint `judgments`, which needs the
    gate. One that is not among the `known`, as the tune that made it died, is taken again.

    Models are saved in `folder`; where the collection is embedded anew, `progress` gets how many changes of
    documents are followed, and how many there are.
    """
    note = f"{learned.note} (on serving {made_from}, judgments {judgments[:8]})"
    for serving in reversed(collection.servings()):
        if serving.note == note and serving.id not in known and not serving.live:
            return serving.id
    if learned.trainer is not None:
        made = candidates.make_candidate(
            collection,
            learned.fitted[0],
            folder,
            who=who,
            note=note,
            known=known,
            progress=None if progress is None else lambda plan, done: progress(done.seq, done.last_seq),
        )
        candidates.drop_unused_models(collection, folder)
        return made
    return collection.create_serving(learned.settings, note=note, needs_gate=True, made_from=made_from).id


def refit_of(learned: Learned, probe: Probe) -> Refit | None:
    """Learns again from a part of the questions, for the gate; None where each part would need an index of
    its own.
    """
    trainer = learned.trainer
    if trainer is not None and not trainer.cross_fits:
        return None

    def refit(questions: list[Question]) -> Rank | None:
        positions = learned.data.positions(questions)
        if trainer is not None:
            one = trainer.fit(learned.data, positions, learned.start, lambda what, value: None)
            return None if one is None else rank_with(probe, one, mode=learned.data.mode)
        settings, fitted = fit_levers(learned.data, positions, learned.names, learned.start)
        if not fitted:
            return None
        return lambda question: probe.rank(question.text, settings, mode=learned.data.mode, depth=CUT)

    return refit


# Seconds for each judged question on two cores, about, and for loading model and index.
_READ, _TEST, _BEGIN = 0.012, 0.02, 2.0
_FIT = {"ranking": 0.003, "memory": 0.004, "query": 0.015}


def estimate(questions: int, documents: int, *, cross_fitted: bool) -> dict[str, float]:
    """About how many seconds each of `LEVERS` takes with so many judged questions in a collection of so many
    documents, the gate included; the last two with the bundled models.
    """
    fits = 6 if cross_fitted else 1
    fit = {**_FIT, "auto": sum(_FIT.values())}
    around = _BEGIN + questions * (_READ + _TEST)
    seconds = {name: around + questions * fits * share for name, share in fit.items()}
    seconds[RerankerLever.name] = around + fits * RerankerLever().estimate_seconds(questions)
    seconds[FullLever.name] = around + FullLever().estimate_seconds(questions, documents)
    return {name: seconds[name] for name in LEVERS}
