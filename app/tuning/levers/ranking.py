"""Weights of the legs and of plain features: a handful of numbers, fitted listwise.

The score of a document is linear in the weights, so the loss is convex: the cross entropy of the softmax of
scores with the grades of a question (ListNet; Cao et al., "Learning to Rank: From Pairwise Approach to
Listwise Approach", ICML 2007), plus a pull towards today's weights. How hard it pulls comes from
cross-validation; so does whether anything is changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from app.tuning.data import FEWEST
from app.tuning.legs import View, weight_of
from app.tuning.levers import Fitted, Tell, choose, judge_gains
from indexing.names import FEATURES, LEGS
from indexing.search.settings import SearchSettings

__all__ = ["RankingLever"]

PULLS = (0.01, 0.03, 0.1, 0.3, 1.0)
TEMPERATURES = (0.5, 1.0, 2.0, 4.0, 8.0)
ITERATIONS = 20
# Documents of each question that are looked at, the best by today's weights, and whatever is relevant.
LOOKED_AT = 50
# Weights beyond are no balance of legs any more.
LARGEST = 5.0
LARGEST_MEMORY = 32.0


@dataclass(frozen=True)
class _Lists:
    """What decides in the lists of some questions, laid end to end: columns float64 [n, p], what is added
    whatever the weights are [n], the share of each document in the gains of its question [n], and of which
    question it is [n].
    """

    names: tuple[str, ...]
    columns: np.ndarray
    fixed: np.ndarray
    target: np.ndarray
    owners: np.ndarray

    def of(self, rows: np.ndarray) -> _Lists:
        """Of the questions at `rows`."""
        kept = np.isin(self.owners, rows)
        return _Lists(self.names, self.columns[kept], self.fixed[kept], self.target[kept], self.owners[kept])

    def loss(self, weights: np.ndarray, temperature: float) -> tuple[float, np.ndarray, np.ndarray]:
        """Mean cross entropy, its gradient [p] and Hessian [p, p]."""
        starts = np.flatnonzero(np.diff(self.owners, prepend=-1))
        lists = len(starts)
        logits = (self.columns @ weights + self.fixed) / temperature
        counts = np.diff(np.append(starts, len(logits)))
        logits -= np.repeat(np.maximum.reduceat(logits, starts), counts)
        masses = np.exp(logits)
        sums = np.add.reduceat(masses, starts)
        shares = masses / np.repeat(sums, counts)
        loss = float((self.target * (np.repeat(np.log(sums), counts) - logits)).sum() / lists)
        gradient = self.columns.T @ (shares - self.target) / (temperature * lists)
        means = np.add.reduceat(shares[:, None] * self.columns, starts, axis=0)
        hessian = self.columns.T @ (shares[:, None] * self.columns) - means.T @ means
        return loss, gradient, hessian / (temperature**2 * lists)


class RankingLever:
    """See `Lever`."""

    name = "ranking"

    def fit(self, view: View, start: SearchSettings, tell: Tell) -> Fitted | None:
        if view.data.mode != "hybrid" or len(view) < FEWEST:  # one leg alone has nothing to weigh
            return None
        before = view.ndcg(start)
        lists = _make_lists(view, start)
        reports = []
        for pull in PULLS:
            gains = np.zeros(len(view))
            for fold in np.unique(view.folds):
                others, here = np.flatnonzero(view.folds != fold), np.flatnonzero(view.folds == fold)
                if len(others) > 1:
                    settings = _fit_weights(lists.of(others), start, pull)
                    gains[here] = view.take(here).ndcg(settings) - before[here]
            reports.append(judge_gains(gains, {"pull": pull}))
            tell(f"pull {pull:g}", reports[-1].gain)
        best = choose(reports)
        if best is None:
            return None
        settings = _fit_weights(lists, start, best.chosen["pull"])
        chosen = {**best.chosen, "weights": dict(settings.weights), "features": dict(settings.features)}
        note = f"weights of legs and features, from {len(view)} judged questions"
        return Fitted(self.name, settings, replace(best, chosen=chosen), note, view)


def _fit_weights(lists: _Lists, start: SearchSettings, pull: float) -> SearchSettings:
    """The settings with the weights that the lists ask for. The semantic leg's stays: only the balance
    counts.
    """
    prior = np.asarray([weight_of(start, name) for name in lists.names])
    temperature = min(TEMPERATURES, key=lambda one: lists.loss(prior, one)[0])
    # The pull is measured by the spread of what a column adds.
    penalty = pull * (np.maximum(lists.columns.std(axis=0), 1e-6) / temperature) ** 2
    lowest, highest = _bounds(lists.names)
    weights = prior.copy()
    for _ in range(ITERATIONS):
        _, gradient, hessian = lists.loss(weights, temperature)
        step = np.linalg.solve(hessian + np.diag(penalty), gradient + penalty * (weights - prior))
        moved = np.clip(weights - step, lowest, highest)
        done = np.abs(moved - weights).max() < 1e-6
        weights = moved
        if done:
            break
    fitted = {name: round(float(weight), 6) for name, weight in zip(lists.names, weights, strict=True)}
    legs = {name: fitted[name] for name in LEGS if name in fitted}
    features = {name: fitted[name] for name in FEATURES}
    return replace(start, weights={**start.weights, **legs}, features={**start.features, **features})


def _bounds(names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """A leg never speaks against what it finds; a feature may."""
    highest = np.asarray([LARGEST_MEMORY if name == "memory" else LARGEST for name in names])
    return np.where([name in LEGS for name in names], 0.0, -highest), highest


def _make_lists(view: View, start: SearchSettings) -> _Lists:
    data, positions = view.data, view.positions
    scores, gains = view.scores(start), data.gains[positions]
    best = np.argsort(-scores, axis=1, kind="stable")[:, :LOOKED_AT]
    kept = gains > 0
    np.put_along_axis(kept, best, True, axis=1)
    kept &= view.allowed
    kept &= (gains * kept).any(axis=1, keepdims=True)
    names = tuple(leg for leg in LEGS if leg != "semantic" and leg in view.shares)
    columns = [view.shares[name][kept] for name in names]
    columns += [values[positions][kept] for values in data.features]
    fixed = weight_of(start, "semantic") * view.shares["semantic"] + data.boosts[positions]
    sums = np.maximum((gains * kept).sum(axis=1, keepdims=True), 1e-12)
    return _Lists(
        (*names, *FEATURES),
        np.stack(columns, axis=1),
        fixed[kept],
        (gains / sums)[kept],
        np.nonzero(kept)[0],
    )
