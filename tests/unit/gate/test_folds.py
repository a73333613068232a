"""Folds: whole clusters, about equal, and of nothing but the ids."""

from __future__ import annotations

from app.tuning.gate.clusters import cluster_questions
from app.tuning.gate.test import assign_folds


def test_clusters_stay_together_and_folds_are_about_equal():
    clusters = {f"q{at}": f"q{at // 3}" if at < 30 else f"q{at}" for at in range(100)}
    folds = assign_folds(clusters)
    assert sorted(folds) == sorted(clusters)
    for cluster in set(clusters.values()):
        assert len({folds[one] for one in clusters if clusters[one] == cluster}) == 1
    assert sorted(list(folds.values()).count(fold) for fold in range(5)) == [20] * 5
    assert assign_folds(dict(reversed(clusters.items()))) == folds


def test_likeness_goes_on_from_one_to_the_next():
    texts = {
        "a": "how do I sort a list of numbers",
        "b": "how do I sort a list of numbers fast",
        "c": "how do I sort the list of numbers fast",
        "d": "which whale is the largest",
    }
    assert cluster_questions(texts) == {"a": "a", "b": "a", "c": "a", "d": "d"}
    assert cluster_questions({}) == {}
