"""Team draft: fair picks, none twice, none lost."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from indexing.search.interleave import shared_beginning, team_draft

LISTS = st.lists(st.sampled_from("abcdefghij"), unique=True)


@given(LISTS, LISTS, st.integers(0, 25), st.integers())
def test_picks_come_once_and_in_the_order_of_their_list(first, second, k, seed):
    picks = team_draft(first, second, k, random.Random(seed))
    lists = (first, second)
    ids = [lists[team][position] for team, position in picks]
    assert len(set(ids)) == len(ids) == min(k, len({*first, *second}))
    for team in (0, 1):
        positions = [position for picked, position in picks if picked == team]
        assert positions == sorted(positions)
    whole = team_draft(first, second, 100, random.Random(seed))
    assert whole[:k] == picks


@given(LISTS, st.integers())
def test_two_equal_lists_are_that_list_and_each_has_half(ids, seed):
    picks = team_draft(ids, ids, 100, random.Random(seed))
    assert [position for _, position in picks] == list(range(len(ids)))
    counts = [sum(team == one for team, _ in picks) for one in (0, 1)]
    assert abs(counts[0] - counts[1]) <= 1


def test_the_first_pick_is_that_of_a_fair_coin():
    firsts = [team_draft(["a"], ["b"], 1, random.Random(seed))[0][0] for seed in range(2000)]
    assert 900 < sum(firsts) < 1100


def test_nobody_is_credited_with_what_both_begin_with():
    assert shared_beginning("abcd", "abdc") == 2
    assert shared_beginning("abc", "abc") == 3
    assert shared_beginning("ab", "abc") == 2
    assert shared_beginning("", "a") == 0
