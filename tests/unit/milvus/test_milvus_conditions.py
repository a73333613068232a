"""Conditions name exactly the rows that are wanted, and nothing in them comes from outside."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.milvus.conditions import of_chunks


def test_numbers_may_go_along_beside_the_expression():
    condition = of_chunks(np.array([9, 4, 9]))
    assert condition.template() == "key in {numbers}"
    assert condition.numbers.tolist() == [4, 9]


@pytest.mark.parametrize("hostile", ["1] or key > 0 or key in [2", "1; drop", '"', "{numbers}", "1.0", None])
def test_nothing_but_whole_numbers_can_be_said(hostile):
    with pytest.raises((ValueError, TypeError)):
        of_chunks(np.array([hostile]))


@given(st.lists(st.text()))
def test_no_text_gets_into_an_expression(texts):
    """What numpy takes for whole numbers is written as those, whatever it looked like."""
    try:
        said = of_chunks(np.array(texts)).literal()
    except (ValueError, OverflowError):
        return
    assert re.fullmatch(r"key in \[(-?[0-9]+(,-?[0-9]+)*)?\]", said)


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_every_number_is_spelt_as_it_is(numbers):
    said = of_chunks(np.array(numbers, np.int64)).literal()
    assert re.fullmatch(r"key in \[(-?[0-9]+(,-?[0-9]+)*)?\]", said)
    assert [int(one) for one in re.findall(r"-?[0-9]+", said)] == sorted(set(numbers))
