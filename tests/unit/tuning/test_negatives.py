"""Which documents are taken for wrong answers."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from app.feedback.model import Impression, Shown
from app.tuning.data import Pool
from app.tuning.negatives import find_negatives, is_negative, not_chosen


def pool(semantic, *, gains=(), judged=(), words=None):
    count = len(semantic)
    grades = np.zeros(count)
    grades[list(gains)] = 1.0
    known = np.zeros(count, bool)
    known[[*gains, *judged]] = True
    by_words = np.zeros(count, bool) if words is None else np.asarray(words) > 0
    scores = np.zeros(count, np.float32) if words is None else np.asarray(words, np.float32)
    ids = tuple("abcdefgh"[:count])
    return Pool(ids, grades, known, 1.0, np.asarray(semantic, np.float32), scores, by_words)


def data(pool):
    return SimpleNamespace(pools=[pool])


def test_unjudged_documents_nearly_as_near_as_an_answer_are_no_wrong_answers():
    # The answer has 0.8: 0.77 is above 95 % of it and may answer, 0.75 is not.
    assert is_negative(pool([0.8, 0.77, 0.75, 0.2], gains=[0])).tolist() == [False, False, True, True]


def test_what_was_judged_wrong_is_wrong_however_near_it_is():
    assert is_negative(pool([0.8, 0.9, 0.9], gains=[0], judged=[1])).tolist() == [False, True, False]


def test_where_no_answer_is_known_nothing_is_wrong():
    assert is_negative(pool([0.8, 0.1])).tolist() == [False, False]


def test_the_most_telling_wrong_answers_come_first():
    made = pool(
        [0.9, 0.3, 0.5, 0.6, 0.1, 0.7, 0.88],
        gains=[0],
        judged=[4],
        words=[1.0, 5.0, 0.0, 0.0, 0.0, 2.0, 0.0],
    )
    # e was judged wrong, c was passed over; then the legs in turns: b (words), f, d. g may answer.
    assert find_negatives(data(made), 0, 10, shown=["c", "zz"]) == [4, 2, 1, 5, 3]
    assert find_negatives(data(made), 0, 2, shown=["c"]) == [4, 2]


def impression(id_, documents, query="q"):
    shown = tuple(Shown(document, rank + 1, 1.0) for rank, document in enumerate(documents))
    return SimpleNamespace(spec=Impression, id=id_, query_hash=query, shown=shown)


def test_documents_above_a_chosen_one_were_passed_over():
    seen = [
        impression("1", ["a", "b", "c", "d"]),  # c was clicked: a and b were passed over
        impression("2", ["b", "d", "e"]),  # e answers: b and d were passed over
        impression("3", ["a", "b"]),  # nothing was chosen: nothing is known
        impression("4", ["a", "e"], query="another"),
    ]
    assert not_chosen(seen, {"1": {"c"}}, {"q": {"e": 2}}) == {"q": ["b", "a", "d"]}


def test_what_was_folded_was_not_passed_over():
    seen = [impression("1", ["a", "b", "c"]), impression("2", ["d", "e", "f"])]
    for one, folded in zip(seen, "be", strict=True):
        one.shown = tuple(replace(shown, folded=shown.document == folded) for shown in one.shown)
    assert not_chosen(seen, {"1": {"c"}}, {"q": {}}) == {"q": ["a"]}
    # e says what d says: d is no wrong answer.
    assert not_chosen(seen, {"2": {"e"}}, {"q": {}}) == {}
