"""A reranker, its share in the order, and whether there is one at all.

The bundled one learns on from its own weights, and so does a cross-encoder. How far from these weights, and
with which share of the score, comes from cross-validation; where nothing is gained by learning, the reranker
stays as it is with another share, or everything stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from app.tuning.data import FEWEST, TuningData
from app.tuning.levers import LOSS, CvReport, Fitted, Tell, choose, judge_gains
from app.tuning.trained.interaction import InteractionTraining
from app.tuning.trained.pairs import PairTraining
from app.tuning.trained.reading import Reading, Training, make_reading
from indexing.models.rerankers import by_tokens, load_reranker, load_trusted_reranker, record_reranker
from indexing.names import BUNDLED_RERANKER
from indexing.search.rerank import USUAL_WEIGHT
from indexing.search.settings import SearchSettings
from indexing.search.token_reranker import TokenReranker
from stlib.runtime import InteractionReranker, RerankerProtocol

__all__ = ["RerankerLever"]

WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


class RerankerLever:
    """See `Lever`. It lasts from seconds (the bundled one) to many minutes (a cross-encoder).

    Args:
        model: folder or name of a reranker; None is that of the settings, or the bundled one.
    """

    name = "reranker"
    cross_fits = True

    def __init__(self, model: str | None = None) -> None:
        self.model = model or None
        self._readings: dict[str, Reading] = {}
        self._trainings: dict[str, Training] = {}
        self._looked_at: tuple[object, ...] = ()

    def estimate_seconds(self, questions: int) -> float:
        """About how long `fit` takes on two cores, for the bundled reranker."""
        return 5.0 + 0.2 * questions

    def fit(
        self, data: TuningData, positions: np.ndarray, start: SearchSettings, tell: Tell
    ) -> Fitted | None:
        """See `Lever.fit`. A reranker that was trained is in memory only: see
        `app.tuning.trained.candidates`.

        Raises:
            BadInput: the reranker cannot be trained, or what training needs is missing.
            RerankingFailed: it cannot be loaded.
        """
        if len(positions) < FEWEST:
            return None
        self._look_at(data, start)
        readings = [self._reading(data, int(at), start) for at in positions]
        recorded = self._recorded(start)
        training = self._training(recorded["name"], _load(recorded))
        before = self._before(data, readings, start, recorded, training)
        report = _cross_validate(training, readings, data.folds[positions], before, tell)
        if report is None:
            return None
        share, weight = report.chosen["learned"], report.chosen["weight"]
        name = recorded["name"].rpartition("/")[2]
        settings = replace(start, reranker=recorded, rerank_weight=weight)
        if share == 0:
            return Fitted(self.name, settings, report, f"reranker {name} with a share of {weight:g}")
        made = training.learn(readings, partial(tell, f"{LOSS}, all questions"))[share]
        note = f"reranker {name} trained on {len(positions)} judged questions, share {weight:g}"
        settings = replace(settings, reranker=None)
        return Fitted(self.name, settings, report, note, made=training.weighted(made, weight))

    def _look_at(self, data: TuningData, start: SearchSettings) -> None:
        """Forgets what was read of another state, or by other settings."""
        looked_at = (data.probe, data.mode, start)
        if self._looked_at != looked_at:
            self._looked_at = looked_at
            self._readings.clear()
            self._trainings.clear()

    def _reading(self, data: TuningData, at: int, start: SearchSettings) -> Reading:
        """The memory knows the answers of the very questions that are learned from, so it is left out; a
        search has it.
        """
        id_ = data.questions[at].id
        if id_ not in self._readings:
            self._readings[id_] = make_reading(data, at, replace(start, memory=None))
        return self._readings[id_]

    def _recorded(self, start: SearchSettings) -> dict[str, str]:
        """What is trained, as a serving records it."""
        if self.model is None and start.reranker and not by_tokens(start.reranker["name"]):
            return dict(start.reranker)
        return record_reranker(self.model or BUNDLED_RERANKER)

    def _training(self, name: str, base: RerankerProtocol) -> Training:
        if name not in self._trainings:
            self._trainings[name] = (
                InteractionTraining(base) if isinstance(base, InteractionReranker) else PairTraining(name)
            )
        return self._trainings[name]

    def _before(
        self,
        data: TuningData,
        readings: Sequence[Reading],
        start: SearchSettings,
        recorded: dict[str, str],
        training: Training,
    ) -> np.ndarray:
        """NDCG by the settings as they are, float64 [n]."""
        if not start.reranker:
            return np.asarray([one.ndcg(None, 0.0) for one in readings])
        if by_tokens(start.reranker["name"]):
            return _before_by_tokens(data, readings, start)
        now = _load(dict(start.reranker))
        weight = start.rerank_weight
        if weight is None:
            weight = float(getattr(now, "weight", USUAL_WEIGHT))
        if dict(start.reranker) == recorded:
            return np.asarray([one.ndcg(training.scores(None, one), weight) for one in readings])
        return np.asarray([one.ndcg(now.scores(one.text, one.windows), weight) for one in readings])


def _before_by_tokens(data: TuningData, readings: Sequence[Reading], start: SearchSettings) -> np.ndarray:
    settings = replace(start, memory=None)  # as what was read was found, see `_reading`
    weight = TokenReranker.weight if start.rerank_weight is None else start.rerank_weight
    worth = []
    for one in readings:
        scores = data.probe.token_scores(one.text, settings, mode=data.mode)
        windows = np.diff([*one.starts.tolist(), len(one.windows)])
        worth.append(one.ndcg(np.repeat(scores, windows), weight))
    return np.asarray(worth)


def _load(recorded: dict[str, str]) -> RerankerProtocol:
    if recorded["name"] == BUNDLED_RERANKER:
        return load_reranker(BUNDLED_RERANKER)
    return load_trusted_reranker(recorded["name"], recorded["fingerprint"])


def _cross_validate(
    training: Training, readings: Sequence[Reading], folds: np.ndarray, before: np.ndarray, tell: Tell
) -> CvReport | None:
    """The best of all shares of what is learned and weights of the reranker, by questions that were not
    learned from; None where none helps.
    """
    folds = folds % training.folds
    shares = (0.0, *training.shares)
    gains = {(share, weight): np.zeros(len(readings)) for share in shares for weight in WEIGHTS}

    def measure(made: object, share: float, places: np.ndarray) -> None:
        for at in places.tolist():
            scores = training.scores(made, readings[at])
            for weight in WEIGHTS:
                gains[share, weight][at] = readings[at].ndcg(scores, weight) - before[at]

    measure(None, 0.0, np.arange(len(readings)))
    for fold in np.unique(folds).tolist():
        others = [reading for reading, own in zip(readings, folds, strict=True) if own != fold]
        told = partial(tell, f"{LOSS}, fold {fold + 1}")
        for share, made in training.learn(others, told).items():
            measure(made, share, np.flatnonzero(folds == fold))
    reports = [
        judge_gains(values, {"learned": share, "weight": weight}) for (share, weight), values in gains.items()
    ]
    for report in reports:
        tell(f"learned {report.chosen['learned']:g}, weight {report.chosen['weight']:g}", report.gain)
    return choose(reports)
