"""Weights of the legs and of plain features: a handful of numbers, fitted listwise.

The score of a document is linear in the weights, so the loss is convex: the cross entropy of the softmax of
scores with the grades of a question (ListNet; Cao et al., "Learning to Rank: From Pairwise Approach to
Listwise Approach", ICML 2007), plus a pull towards today's weights. How hard it pulls comes from
cross-validation; so does whether anything is changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from app.tuning.data import LEG_NAMES, TuningData
from app.tuning.levers import Fitted, Stack, Tell, choose, judge_gains
from indexing.names import FEATURES
from indexing.search.settings import SearchSettings

__all__ = ["RankingLever"]

PULLS = (3.0, 1.0, 0.3, 0.1, 0.03)
TEMPERATURES = (0.5, 1.0, 2.0, 4.0, 8.0)
ITERATIONS = 30
FEWEST = 10
# Weights beyond are no balance of legs any more.
LARGEST = 5.0


@dataclass(frozen=True)
class _Lists:
    """What decides in the lists of some questions, laid end to end: columns float64 [n, p], what is added
    whatever the weights are [n], the share of each document in the gains of its question [n], and where each
    list begins.
    """

    names: tuple[str, ...]
    columns: np.ndarray
    fixed: np.ndarray
    target: np.ndarray
    starts: np.ndarray

    def loss(self, weights: np.ndarray, temperature: float) -> tuple[float, np.ndarray, np.ndarray]:
        """Mean cross entropy, its gradient [p] and Hessian [p, p]."""
        logits = (self.columns @ weights + self.fixed) / temperature
        counts = np.diff(np.append(self.starts, len(logits)))
        logits -= np.repeat(np.maximum.reduceat(logits, self.starts), counts)
        masses = np.exp(logits)
        sums = np.add.reduceat(masses, self.starts)
        shares = masses / np.repeat(sums, counts)
        lists = len(self.starts)
        loss = float((self.target * (np.repeat(np.log(sums), counts) - logits)).sum() / lists)
        gradient = self.columns.T @ (shares - self.target) / (temperature * lists)
        means = np.add.reduceat(shares[:, None] * self.columns, self.starts, axis=0)
        hessian = (self.columns.T @ (shares[:, None] * self.columns) - means.T @ means) / (
            temperature**2 * lists
        )
        return loss, gradient, hessian


class RankingLever:
    """See `Lever`."""

    name = "ranking"

    def fit(self, data: TuningData, positions: np.ndarray, start: Stack, tell: Tell) -> Fitted | None:
        if data.mode != "hybrid" or len(positions) < FEWEST:  # one leg alone has nothing to weigh
            return None
        before = start.ndcg(data, positions)
        folds = data.folds[positions]
        reports, stacks = [], []
        for pull in PULLS:
            by_fold = {
                fold: _fit_weights(data, positions[folds != fold], settings, pull)
                for fold, settings in start.by_fold.items()
            }
            stack = Stack(start.whole, by_fold)
            stacks.append(stack)
            reports.append(judge_gains(stack.ndcg(data, positions) - before, {"pull": pull}))
            tell(f"pull {pull:g}", reports[-1].gain)
        best = choose(reports)
        if best is None:
            return None
        whole = _fit_weights(data, positions, start.whole, best.chosen["pull"])
        chosen = {**best.chosen, "weights": dict(whole.weights), "features": dict(whole.features)}
        stack = Stack(whole, stacks[reports.index(best)].by_fold)
        return Fitted(self.name, stack, replace(best, chosen=chosen), "weights of legs and features")


def _fit_weights(
    data: TuningData, positions: np.ndarray, start: SearchSettings, pull: float
) -> SearchSettings:
    """The settings with the weights that the questions at `positions` ask for. The semantic leg's stays: only
    the balance counts.
    """
    lists = _make_lists(data, positions, start)
    prior = np.asarray([_weight(start, name) for name in lists.names])
    temperature = min(TEMPERATURES, key=lambda one: lists.loss(prior, one)[0])
    # A spread of 1 in what a column adds is what the pull is measured by.
    scales = np.maximum(lists.columns.std(axis=0), 1e-6) / temperature
    penalty = pull * scales**2
    # A leg never speaks against what it finds; a feature may.
    lowest = np.asarray([0.0 if name in LEG_NAMES else -LARGEST for name in lists.names])
    weights = prior.copy()
    for _ in range(ITERATIONS):
        _, gradient, hessian = lists.loss(weights, temperature)
        step = np.linalg.solve(hessian + np.diag(penalty), gradient + penalty * (weights - prior))
        weights = np.clip(weights - step, lowest, LARGEST)
        if np.abs(step).max() < 1e-6:
            break
    fitted = dict(zip(lists.names, weights.tolist(), strict=True))
    legs = {name: fitted[name] for name in LEG_NAMES if name in fitted}
    features = {name: fitted[name] for name in FEATURES if name in fitted}
    return replace(start, weights={**start.weights, **legs}, features={**start.features, **features})


def _weight(settings: SearchSettings, name: str) -> float:
    return settings.weights.get(name, 1.0) if name in LEG_NAMES else settings.features.get(name, 0.0)


def _make_lists(data: TuningData, positions: np.ndarray, start: SearchSettings) -> _Lists:
    # Not the memory: what it says of the very questions that it has learned from is no example.
    names = ["keyword", *FEATURES]
    columns, fixed, targets, starts, at = [], [], [], [], 0
    for position in positions.tolist():
        pool = data.pools[position]
        table, allowed = data.table(start, position)
        kept = np.flatnonzero(allowed)
        gains = pool.gains[kept]
        if not gains.any():
            continue
        columns.append(np.stack([table[name][kept] for name in names], axis=1))
        fixed.append(start.weights.get("semantic", 1.0) * table["semantic"][kept] + pool.boosts[kept])
        targets.append(gains / gains.sum())
        starts.append(at)
        at += len(kept)
    if not columns:
        empty = np.zeros((1, len(names)))
        return _Lists(tuple(names), empty, np.zeros(1), np.ones(1), np.zeros(1, np.int64))
    return _Lists(
        tuple(names),
        np.concatenate(columns),
        np.concatenate(fixed),
        np.concatenate(targets),
        np.asarray(starts, np.int64),
    )
