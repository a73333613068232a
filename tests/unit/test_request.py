"""What is asked: checked and cleaned once."""

from __future__ import annotations

import numpy as np
import pytest

from indexing.errors import BadInput, FilterError
from indexing.names import LEGS, MODE_LEGS, MODES
from indexing.search.filters import Compare
from indexing.search.legs import MAKERS
from indexing.search.request import MAX_QUERY_CHARACTERS, make_request


def test_a_request_says_what_was_asked():
    request = make_request("why", 5, offset=20, mode="semantic", filter="legs = 4", seq=7)
    assert (request.query, request.k, request.offset, request.last) == ("why", 5, 20, 25)
    assert (request.mode, request.seq, request.vector, request.notes) == ("semantic", 7, None, ())
    assert (request.filter.text, request.filter.node) == ("legs = 4", Compare("legs", "=", 4))
    assert make_request("why", filter="  ").filter is None
    with pytest.raises(AttributeError):
        request.k = 6


def test_a_query_is_storable_and_no_longer_than_it_may_be():
    assert make_request("a\x00b\ud800").query == "a\ufffdb\ufffd"
    whole = make_request("x" * MAX_QUERY_CHARACTERS)
    cut = make_request("x" * (MAX_QUERY_CHARACTERS + 1))
    assert cut.query == whole.query == "x" * 20_000
    assert whole.notes == ()
    assert cut.notes == ("only the first 20,000 of the query's 20,001 characters are used",)
    assert make_request("y").with_query("z" * 30_000).query == "z" * 20_000


def test_a_vector_gets_length_one():
    vector = make_request(None, mode="semantic", vector=[3, 4]).vector
    assert (vector.dtype, vector.tolist()) == (np.float32, pytest.approx([0.6, 0.8]))
    for scale in (1e-30, 1e30, 5.0):
        scaled = make_request(None, vector=np.array([3.0, 4.0]) * scale).vector
        np.testing.assert_allclose(scaled, [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"query": None}, "nothing is asked: give a query, a vector, or both"),
        ({"query": 3}, "query of type int: give a text"),
        ({"k": 0}, "k = 0: give a whole number of results, 1 or more"),
        ({"k": True}, "k = True"),
        ({"offset": -1}, "offset = -1: give a whole number of results to leave out, 0 or more"),
        ({"offset": 1.0}, "offset = 1.0"),
        ({"seq": -2}, "seq = -2"),
        ({"mode": "fuzzy"}, "mode 'fuzzy': use one of hybrid, semantic, keyword"),
        ({"mode": ["semantic"]}, r"mode \['semantic'\]: use one of"),
        ({"filter": 3}, "filter of type int: give a text"),
        ({"rerank_depth": 0}, "rerank_depth = 0"),
        ({"rerank_budget_ms": float("nan")}, "rerank_budget_ms = nan"),
        ({"vector": [1, 2], "mode": "keyword"}, "has no use for a vector"),
        ({"vector": [[1, 2]]}, r"vector of shape \[1, 2\]"),
        ({"vector": []}, r"vector of shape \[0\]"),
        ({"vector": 1.0}, r"vector of shape \[\]"),
        ({"vector": [1, float("nan")]}, "NaN or infinite"),
        ({"vector": [1, 1e300]}, "NaN or infinite"),
        ({"vector": [0, 0]}, "length 0"),
        ({"vector": ["a", "b"]}, "vector of type list: give one number per dimension"),
        ({"vector": [[1], [1, 2]]}, "vector of type list"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(BadInput, match=message):
        make_request(**{"query": "x", **arguments})


def test_a_filter_that_cannot_be_understood_tells_where():
    with pytest.raises(FilterError) as caught:
        make_request("x", filter="legs 4")
    assert caught.value.position == 5


def test_a_mode_is_a_name_for_legs_that_exist():
    assert tuple(MODE_LEGS) == MODES == ("hybrid", "semantic", "keyword", "sparse")
    assert all(MODE_LEGS[leg] == (leg,) for leg in ("semantic", "keyword", "sparse"))
    assert {leg for names in MODE_LEGS.values() for leg in names} == set(LEGS) == set(MAKERS)
