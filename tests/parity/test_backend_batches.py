"""Batches cut into parts without padding give what the padded batch gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stlib.backend.batches import MAX_TOKENS, plan, run_in_parts


def mask_of(lengths: list[int]) -> np.ndarray:
    return (np.arange(max(*lengths, 1)) < np.array(lengths)[:, None]).astype(np.int64)


@given(st.lists(st.integers(0, 600), min_size=2, max_size=40))
def test_every_row_is_in_one_part_that_is_long_enough(lengths):
    parts = plan(mask_of(lengths))
    assert sorted(np.concatenate([rows for rows, _ in parts])) == list(range(len(lengths)))
    for rows, length in parts:
        assert length == max(1, max(lengths[row] for row in rows))
        assert len(rows) == 1 or len(rows) * length <= MAX_TOKENS


def test_rows_of_one_length_share_a_part_and_others_do_not():
    parts = plan(mask_of([200, 100, 200, 100]))
    assert [(rows.tolist(), length) for rows, length in parts] == [([0, 2], 200), ([1, 3], 100)]


def test_small_rows_of_different_lengths_share_a_part():
    assert [(rows.tolist(), length) for rows, length in plan(mask_of([3, 5, 4]))] == [([1, 2, 0], 5)]


def test_padding_in_front_is_left_alone():
    assert plan(np.array([[0, 1, 1], [1, 1, 1]])) is None


@given(st.lists(st.integers(0, 300), min_size=2, max_size=20))
def test_results_return_to_their_rows(lengths):
    mask = mask_of(lengths)
    ids = np.arange(mask.size).reshape(mask.shape) * mask
    whole = run_in_parts({"ids": ids}, plan(mask), lambda part: part["ids"][:, :, None] * 2.0, None)
    np.testing.assert_array_equal(whole[:, :, 0], ids * 2.0)


def test_one_result_for_each_row_is_put_together_too():
    mask = mask_of([300, 2, 300])
    ids = np.array([[7] * 300, [8] * 300, [9] * 300])
    whole = run_in_parts({"ids": ids}, plan(mask), lambda part: part["ids"][:, :1] * 1.0, None)
    np.testing.assert_array_equal(whole, [[7.0], [8.0], [9.0]])


def test_parts_run_in_turn_where_threads_take_no_more_work():
    threads = ThreadPoolExecutor(2)
    threads.shutdown()
    mask = mask_of([300, 2, 300])
    ids = np.array([[7] * 300, [8] * 300, [9] * 300])
    whole = run_in_parts({"ids": ids}, plan(mask), lambda part: part["ids"][:, :1] * 1.0, threads)
    np.testing.assert_array_equal(whole, [[7.0], [8.0], [9.0]])


def test_errors_of_a_part_are_raised():
    def fail(part):
        raise RuntimeError("no memory")

    mask = mask_of([300, 2, 300])
    with ThreadPoolExecutor(2) as threads, pytest.raises(RuntimeError, match="no memory"):
        run_in_parts({"ids": mask}, plan(mask), fail, threads)
