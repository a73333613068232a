"""Conditions name exactly the rows that are wanted, and nothing in them comes from outside."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.milvus.conditions import Condition, of_chunks, of_documents, shortest


def passing(condition: Condition, documents: np.ndarray) -> np.ndarray:
    """What the expression says, read again from its text."""
    said = re.fullmatch(r"document_key (in|not in) \[((?:-?\d+(?:,-?\d+)*)?)\]", condition.literal())
    assert said is not None
    numbers = {int(one) for one in said[2].split(",") if one}
    return np.array([(int(one) in numbers) == (said[1] == "in") for one in documents], bool)


NUMBERS = st.integers(1, 12) | st.integers(1, 10**15)  # close together, and far apart


@given(st.lists(st.tuples(NUMBERS, st.booleans()), min_size=1, max_size=40))
def test_a_mask_is_let_pass_by_documents(rows):
    documents = np.array([document for document, _ in rows], np.int64)
    allowed = np.array([passes for _, passes in rows], bool)
    condition = shortest(documents, allowed, 100)
    assert condition is not None
    passed = passing(condition, documents)
    assert (passed | ~allowed).all()  # all that are allowed
    assert set(documents[passed]) == set(documents[allowed])  # and rows of no other document


def test_the_shorter_list_is_said():
    documents = np.arange(1, 11)
    few = shortest(documents, documents < 3, 100)
    assert few is not None
    assert few.literal() == "document_key in [1,2]"
    most = shortest(documents, documents != 7, 100)
    assert most is not None
    assert most.literal() == "document_key not in [7]"
    assert shortest(documents, documents < 6, 4) is None
    assert shortest(documents, documents < 6, 5) is not None


def test_numbers_may_go_along_beside_the_expression():
    condition = of_chunks(np.array([9, 4, 9]))
    assert condition.template() == "key in {numbers}"
    assert condition.parameter == "numbers"
    assert condition.numbers.tolist() == [4, 9]


@pytest.mark.parametrize("hostile", ["1] or key > 0 or key in [2", "1; drop", '"', "{numbers}", "1.0", None])
def test_nothing_but_whole_numbers_can_be_said(hostile):
    for make in (of_documents, of_chunks):
        with pytest.raises((ValueError, TypeError)):
            make(np.array([hostile]))


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_every_number_is_spelt_as_it_is(numbers):
    said = of_documents(np.array(numbers, np.int64)).literal()
    assert re.fullmatch(r"document_key in \[(-?\d+(,-?\d+)*)?\]", said)
    assert [int(one) for one in re.findall(r"-?\d+", said)] == sorted(set(numbers))
