"""Questions that are near each other, which folds must not part."""

from __future__ import annotations

from collections.abc import Mapping

from app.feedback.judged.near import near_pairs

__all__ = ["cluster_questions"]


def cluster_questions(questions: Mapping[str, str]) -> dict[str, str]:
    """Question id → the smallest id of its cluster, from id → text: who is near one is in its cluster."""
    ids = sorted(questions)
    texts = [questions[id_] for id_ in ids]
    parent = list(range(len(ids)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    for one, other, _ in near_pairs(texts, texts):
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    return {id_: ids[root(at)] for at, id_ in enumerate(ids)}
