"""Wrong answers to learn from: documents that stand near the top and do not answer.

The best ones are those that a search itself puts high: what people were shown and did not choose, and the
near-misses of each leg. Some of them answer, and nobody has said so. A document that is nearly as near to the
question as a known answer is more likely one of these than a mistake, so it is left out: this is TopK-PercPos
of Moreira et al., "NV-Retriever: Improving text embedding models with effective hard-negative mining" (2024),
whose share of 0.95 is taken over. What people called wrong is wrong, however near it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from app.feedback.judged import Question
from app.feedback.model import Impression
from app.feedback.place import feedback_place
from app.feedback.table import read_events, read_impressions
from app.settings import Location
from app.tuning.data import Pool, TuningData
from indexing import Collection

__all__ = ["SHARE", "find_negatives", "is_negative", "not_chosen", "shown_not_chosen"]

SHARE = 0.95
"""Of the cosine of the nearest answer; an unjudged document above is taken for an answer nobody spoke of."""


def find_negatives(
    data: TuningData, at: int, most: int, *, shown: Sequence[str] = (), share: float = SHARE
) -> list[int]:
    """Where up to `most` wrong answers to the question at `at` are in its pool, the most telling first: those
    judged wrong, those `shown` and not chosen, then the near-misses of the semantic and the keyword leg in
    turns.
    """
    pool = data.pools[at]
    places = {id_: place for place, id_ in enumerate(pool.ids)}
    wrong = np.flatnonzero(pool.judged & (pool.gains == 0))
    ordered = [*wrong[np.argsort(-pool.semantic[wrong], kind="stable")].tolist()]
    ordered += [places[id_] for id_ in shown if id_ in places]
    ordered += _near_misses(pool)
    usable = is_negative(pool, share)
    return [place for place in dict.fromkeys(ordered) if usable[place]][:most]


def is_negative(pool: Pool, share: float = SHARE) -> np.ndarray:
    """Which documents of a pool may be held for wrong answers, bool [n]."""
    good = pool.gains > 0
    if not good.any():
        return np.zeros(len(pool.ids), bool)
    nearest = float(pool.semantic[good].max())
    # Where even the answers are not near the question, nearness tells nothing of the others.
    suspicious = (pool.semantic >= share * nearest) if nearest > 0 else np.zeros(len(pool.ids), bool)
    return ~good & (pool.judged | ~suspicious)


def _near_misses(pool: Pool) -> list[int]:
    """All documents of a pool, by their better rank in either leg."""
    by_meaning = np.argsort(-pool.semantic, kind="stable")
    by_words = np.argsort(-np.where(pool.by_words, pool.words, -np.inf), kind="stable")
    by_words = by_words[: int(pool.by_words.sum())]
    legs = (by_meaning, by_words)
    turns = [int(leg[rank]) for rank in range(len(pool.ids)) for leg in legs if rank < len(leg)]
    return list(dict.fromkeys(turns))


def shown_not_chosen(
    location: Location, collection: Collection, questions: Sequence[Question]
) -> dict[str, list[str]]:
    """Question id → documents that people were shown for it above one that they chose, and did not choose,
    those passed over most often first.

    Raises:
        StorageError: the database of feedback is damaged.
    """
    place = feedback_place(location)
    answers = {question.id: question.grades for question in questions}
    shown = read_impressions(place, collection.uuid)
    chosen: dict[str, set[str]] = {}
    for event in read_events(place, collection.uuid):
        chosen.setdefault(event.impression, set()).add(event.document)
    return not_chosen(shown, chosen, answers)


def not_chosen(
    impressions: Sequence[Impression],
    clicked: Mapping[str, set[str]],
    grades: Mapping[str, Mapping[str, int]],
) -> dict[str, list[str]]:
    """The same of impressions, the documents clicked in each, and the grades of each question."""
    counts: dict[str, dict[str, int]] = {}
    for impression in impressions:
        known = grades.get(impression.query_hash)
        if known is None:
            continue
        chosen = clicked.get(impression.id, set()) | {id_ for id_, grade in known.items() if grade > 0}
        if any(one.folded and one.document in chosen for one in impression.shown):
            continue  # it says the same as one that was not chosen
        ranks = [one.rank for one in impression.shown if one.document in chosen]
        for one in impression.shown:
            if ranks and one.rank < max(ranks) and one.document not in chosen and not one.folded:
                passed = counts.setdefault(impression.query_hash, {})
                passed[one.document] = passed.get(one.document, 0) + 1
    return {
        question: sorted(passed, key=lambda id_: (-passed[id_], id_)) for question, passed in counts.items()
    }
