"""What hybrid search gains by the third leg: NDCG@10 with and without it, and whether that may be chance."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexing import Collection
from indexing.documents import read_paths
from indexing.evaluation import BeirQueries

WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0)
FOLDS = 5
_PLACES = 10
_DRAWS = 20_000


@dataclass(frozen=True)
class Measured:
    """NDCG@10 of each question at each of ``WEIGHTS`` of the leg, float64 ``[weights, questions]``."""

    name: str
    values: NDArray[np.float64]


def measure(name: str, corpus: Path, judged: BeirQueries, sparse: str) -> Measured:
    """Index ``corpus`` with the third leg and ask its judged questions."""
    asked = [id_ for id_, grades in judged.qrels.items() if max(grades.values()) > 0]
    columns = []
    with (
        tempfile.TemporaryDirectory() as home,
        Collection.create("measured", None, home=home, sparse=sparse) as collection,
    ):
        collection.add(read_paths([corpus]), on_error="skip")
        with collection.probe() as probe:
            for id_ in asked:
                trace = probe.trace(judged.queries[id_])
                leg = trace.shares[trace.legs.index("sparse")]
                rest = trace.shares.sum(axis=0) - leg
                grades = judged.qrels[id_]
                columns.append([_ndcg(rest + weight * leg, trace.ids, grades) for weight in WEIGHTS])
    return Measured(name, np.asarray(columns).T)


def cross_validated(sets: Sequence[Measured]) -> tuple[list[NDArray[np.float64]], list[float]]:
    """NDCG@10 of each question of each set, at the weight that is best for the other folds of all sets; and
    the weights.
    """
    folds = [np.random.default_rng(1).permutation(one.values.shape[1]) % FOLDS for one in sets]
    found = [np.zeros(one.values.shape[1]) for one in sets]
    chosen = []
    for fold in range(FOLDS):
        means = [one.values[:, places != fold].mean(axis=1) for one, places in zip(sets, folds, strict=True)]
        best = int(np.argmax(np.mean(means, axis=0)))
        chosen.append(WEIGHTS[best])
        for one, places, values in zip(sets, folds, found, strict=True):
            values[places == fold] = one.values[best, places == fold]
    return found, chosen


def chance(differences: NDArray[np.float64]) -> float:
    """How often random signs give a mean as far from zero: a two-sided paired randomisation test."""
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(_DRAWS, len(differences)))
    means = np.abs((signs * differences).mean(axis=1))
    return float((means >= abs(differences.mean()) - 1e-12).mean())


def report(sets: Sequence[Measured]) -> list[str]:
    """Lines for the model card."""
    found, chosen = cross_validated(sets)
    lines = [f"weights chosen: {', '.join(map(str, chosen))}"]
    gains = [values - one.values[0] for values, one in zip(found, sets, strict=True)]
    for one, values, gain in zip(sets, found, gains, strict=True):
        without = one.values[0].mean()
        lines.append(f"{one.name}: {without:.4f} to {values.mean():.4f}, p = {chance(gain):.4f}")
    everything = np.concatenate(gains)
    lines.append(f"together: {everything.mean():+.4f}, p = {chance(everything):.4f}")
    return lines


def _ndcg(scores: NDArray[np.float64], ids: Sequence[str], grades: dict[str, int]) -> float:
    order = np.argsort(-scores, kind="stable")[:_PLACES]
    gains = [max(grades.get(ids[at], 0), 0) for at in order.tolist()]
    ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:_PLACES]
    discounts = 1 / np.log2(np.arange(2, _PLACES + 2))
    return float(np.dot(gains, discounts[: len(gains)]) / np.dot(ideal, discounts[: len(ideal)]))
