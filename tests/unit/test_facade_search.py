"""What a search of the page asks for, and what becomes of addresses, picks and expressions."""

from __future__ import annotations

import pytest

from app.facade.search import Facet, SearchRequest, combined_filter, facet_choices, search
from indexing import Collection
from indexing.errors import FilterError
from indexing.facets import FacetCounts
from indexing.search.filters import And, Compare, Or, parse_filter

REQUEST = SearchRequest(
    q="how? 100% & more",
    collection="notes",
    mode="semantic",
    k=20,
    filter="year > 2000",
    group=True,
    picks={"kind": ("class", "it's"), "module": ("os",)},
)


def test_an_address_gives_the_same_request_again():
    assert SearchRequest.from_parameters(REQUEST.to_parameters()) == REQUEST
    assert SearchRequest.from_parameters({}) == SearchRequest()
    assert SearchRequest().to_parameters() == {}


@pytest.mark.parametrize(
    ("parameters", "request_"),
    [
        ({"mode": ["magic"], "k": ["many"]}, SearchRequest()),
        ({"k": ["12"]}, SearchRequest(k=10)),
        ({"k": ["99999"]}, SearchRequest(k=100)),
        ({"k": ["9" * 5000]}, SearchRequest(k=10)),
        ({"k": ["-3"]}, SearchRequest(k=10)),
        ({"q": ["a", "b"]}, SearchRequest(q="b")),
    ],
)
def test_what_an_old_address_says_wrongly_is_ignored(parameters, request_):
    assert SearchRequest.from_parameters(parameters) == request_


def test_picks_and_expression_become_one_filter():
    assert combined_filter(SearchRequest()) is None
    assert combined_filter(SearchRequest(filter="  ")) is None
    assert parse_filter(combined_filter(REQUEST)) == And(
        (
            Compare("year", ">", 2000),
            Or((Compare("kind", "=", "class"), Compare("kind", "=", "it's"))),
            Compare("module", "=", "os"),
        )
    )


def test_picked_values_keep_their_type():
    facets = [Facet("legs", ((4, 2), (6, 1))), Facet("tame", ((True, 2), (False, 1)))]
    request = SearchRequest(picks={"legs": ("4",), "tame": ("True",), 'odd "name': ("1",)})
    assert parse_filter(combined_filter(request, facets)) == And(
        (Compare("legs", "=", 4), Compare("tame", "=", True), Compare('odd "name', "=", "1"))
    )


def test_an_expression_cannot_reach_out_of_its_brackets():
    with pytest.raises(FilterError) as error:
        combined_filter(SearchRequest(filter="a = 1) or (b = 2", picks={"kind": ("x",)}))
    assert error.value.position == 5


def test_facets_worth_choosing_from():
    counts = {
        "one": FacetCounts([("a", 50)], 1, 50),
        "kind": FacetCounts([("f", 40), ("c", 8), ("", 2)], 3, 50),
        "id": FacetCounts([(str(i), 1) for i in range(50)], 50, 50),
        "flag": FacetCounts([(True, 30), (False, 20)], 2, 50),
    }
    assert facet_choices(counts) == [
        Facet("flag", ((True, 30), (False, 20))),
        Facet("kind", (("f", 40), ("c", 8))),
    ]


def test_search_asks_the_collection(home):
    with Collection.create("animals", home=home) as collection:
        collection.add(
            [
                {"id": "bee", "text": "Bees make honey.", "metadata": {"legs": 6}},
                {"id": "cat", "text": "Cats like honey.", "metadata": {"legs": 4}},
            ]
        )
        facets = facet_choices(collection.facets())
        found = search(collection, SearchRequest(q="honey", picks={"legs": ("4",)}), facets)
        assert [one.id for one in found.results] == ["cat"]
        found = search(collection, SearchRequest(q="bees", mode="keyword", filter="legs > 1"), facets)
        assert [one.id for one in found.results] == ["bee"]
