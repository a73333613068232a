"""The best passages by weighted terms are those that a walk over all of them finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexing.beside.sparse_codes import SparseCodes
from indexing.inverted import postings as module
from indexing.inverted.postings import Terms, best_rows, join, make_postings, score_rows

VOCABULARY = 40


def draw(random: np.random.Generator, count: int) -> SparseCodes:
    """Common terms are light and rare ones heavy, so that lists can be spared; weights repeat, so there are
    ties.
    """
    counts = random.integers(0, 8, count)
    terms = [np.sort(random.choice(VOCABULARY, n, replace=False, p=SHARES)) for n in counts]
    flat = np.concatenate([np.empty(0, np.int64), *terms]).astype(np.int32)
    weights = np.minimum(1 + flat * 6 // (1 + random.integers(0, 3, len(flat))), 255).astype(np.uint8)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return SparseCodes(starts, flat, weights, random.choice([0.01, 0.02], count).astype(np.float32))


SHARES = 1 / np.arange(1, VOCABULARY + 1)
SHARES /= SHARES.sum()


def dense(codes: SparseCodes) -> np.ndarray:
    table = np.zeros((len(codes), VOCABULARY))
    table[codes.rows, codes.terms] = codes.weights.astype(np.float32) * codes.steps[codes.rows]
    return table


def ask(random: np.random.Generator) -> Terms:
    terms = np.sort(random.choice(VOCABULARY, random.integers(0, 6), replace=False)).astype(np.int32)
    return Terms(terms, random.random(len(terms)).astype(np.float32) + np.float32(0.1))


def truth(table: np.ndarray, question: Terms, k: int, allowed: np.ndarray) -> tuple[list[int], np.ndarray]:
    sums = np.zeros(len(table))
    for term, weight in zip(question.terms, question.weights.tolist(), strict=True):
        sums += weight * table[:, term]
    scores = sums.astype(np.float32)
    rows = np.flatnonzero((scores > 0) & allowed)
    order = rows[np.lexsort((rows, -scores[rows]))][:k]
    return order.tolist(), scores[order]


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10_000))
@pytest.mark.parametrize("spare", [False, True], ids=["few", "many"])
def test_best_rows_are_those_of_brute_force(spare, seed):
    random = np.random.default_rng(seed)
    codes = draw(random, int(random.integers(0, 120)))
    question, k = ask(random), int(random.integers(1, 15))
    postings, table = make_postings(codes), dense(codes)
    masks = [None, random.random(len(codes)) < 0.5]
    bounds = (module.FEW_ROWS, module.MANY_ROWS)
    try:
        if spare:  # bounds are looked for, whatever they spare
            module.FEW_ROWS, module.MANY_ROWS = -1, -1
        for mask in masks:
            allowed = np.ones(len(codes), bool) if mask is None else mask
            expected, scores = truth(table, question, k, allowed)
            rows, found = best_rows(postings, question, k, mask)
            assert rows.tolist() == expected
            np.testing.assert_array_equal(found, scores)
            if len(scores) > 2:  # what reaches the floor is there, in order
                floor = float(scores[len(scores) // 2])
                rows, found = best_rows(postings, question, k, mask, floor)
                reached = [row for row, score in zip(expected, scores, strict=True) if score >= floor]
                assert rows.tolist()[: len(reached)] == reached
    finally:
        module.FEW_ROWS, module.MANY_ROWS = bounds


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_joined_lists_are_those_of_all_rows_that_are_left(seed):
    random = np.random.default_rng(seed)
    parts = [draw(random, int(random.integers(0, 30))) for _ in range(3)]
    gone = [np.flatnonzero(random.random(len(part)) < 0.3) for part in parts]
    kept = [part.take(~np.isin(np.arange(len(part)), lost)) for part, lost in zip(parts, gone, strict=True)]
    expected = make_postings(SparseCodes.joined(kept))
    joined = join([(make_postings(part), lost) for part, lost in zip(parts, gone, strict=True)])
    for name, column in joined._asdict().items():
        np.testing.assert_array_equal(column, getattr(expected, name), err_msg=name)


def test_norms_and_tops_by_hand():
    codes = SparseCodes(
        np.array([0, 2, 3]),
        np.array([1, 4, 4], np.int32),
        np.array([30, 40, 200], np.uint8),
        np.array([0.1, 0.01], np.float32),
    )
    postings = make_postings(codes)
    assert postings.terms.tolist() == [1, 4]
    np.testing.assert_allclose(postings.tops, [3.0, 4.0], rtol=1e-6)
    np.testing.assert_allclose(postings.norms, [5.0, 2.0], rtol=1e-6)
    question = Terms(np.array([4, 9], np.int32), np.array([0.5, 7.0], np.float32))
    np.testing.assert_allclose(score_rows(postings, question, np.array([0, 1])), [2.0, 1.0], rtol=1e-6)
