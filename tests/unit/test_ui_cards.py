"""What the search page says and does, without Streamlit."""

from __future__ import annotations

import pytest

from app.search_view import (
    Facet,
    SearchRequest,
    combined_filter,
    facet_choices,
    highlighted_html,
    make_card,
    search,
)
from app.ui import markup
from app.wording import explained
from indexing import Collection, Result, SearchResults, Snippet
from indexing.errors import FilterError
from indexing.facets import FacetCounts
from indexing.search.filters import And, Compare, Or, parse_filter

REQUEST = SearchRequest(
    q="how? 100% & more",
    collection="notes",
    mode="semantic",
    k=20,
    filter="year > 2000",
    picks={"kind": ("class", "it's"), "module": ("os",)},
)


def result(**changes):
    values = {
        "id": "x",
        "score": 0.5,
        "title": "",
        "text": "text",
        "snippet": Snippet("text"),
        "metadata": {},
        "parts": {
            **{"semantic": 0.51234, "semantic_rank": 1, "semantic_share": 0.5},
            **{"keyword": 0.0, "keyword_rank": None, "keyword_share": 0.0},
        },
    }
    return Result(**{**values, **changes})


def test_an_address_gives_the_same_request_again():
    assert SearchRequest.from_parameters(REQUEST.to_parameters()) == REQUEST
    assert SearchRequest.from_parameters({}) == SearchRequest()
    assert SearchRequest().to_parameters() == {}


@pytest.mark.parametrize(
    ("parameters", "request_"),
    [
        ({"mode": ["magic"], "k": ["many"]}, SearchRequest()),
        ({"k": ["12"]}, SearchRequest(k=10)),
        ({"k": ["99999"]}, SearchRequest(k=50)),
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


@pytest.mark.parametrize(
    ("spans", "html"),
    [
        ([], "a&lt;b&gt; &amp; c"),
        ([(1, 4)], "a<mark>&lt;b&gt;</mark> &amp; c"),
        ([(2, 4), (0, 3), (7, 99)], "<mark>a&lt;b</mark><mark>&gt;</mark> &amp; <mark>c</mark>"),
    ],
)
def test_highlights_are_escaped(spans, html):
    assert highlighted_html("a<b> & c", spans) == html


def test_a_card_escapes_everything_that_comes_from_documents():
    evil = '<script>alert("x")</script>'
    card = make_card(
        1, result(id=evil, title=evil, text=evil * 2, metadata={evil: evil}, snippet=Snippet(evil, [(1, 7)]))
    )
    page = markup.cards([card]) + markup.filter_failure(evil, FilterError(evil, 3)) + markup.failure(evil)
    page += markup.masthead(evil) + markup.summary(
        SearchResults(evil, "hybrid", 1.0, {evil: 1.0}, []), SearchRequest(filter=evil, picks={evil: (evil,)})
    )
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 9


def test_a_card_tells_what_there_is():
    card = make_card(
        3,
        result(text="x = 1\n    indented", metadata={"tags": ["a", "b"], "tame": True, "note": None, "n": 4}),
        [Facet("tags", ()), Facet("tame", ())],
    )
    assert (card.rank, card.title, card.score) == (3, "x", "0.500")
    assert card.chips == (("tags", "a, b"), ("tame", "yes"))
    assert card.metadata == (("tags", "a, b"), ("tame", "yes"), ("n", "4"))
    assert card.parts == (
        ("by meaning", "0.500 (cosine 0.512, rank 1)"),
        ("by words", "0.000 (no word matches)"),
    )
    assert (card.text, card.preformatted, card.more_characters) == ("x = 1\n    indented", True, 0)


def test_the_parts_of_one_mode_have_no_shares():
    assert explained({"semantic": 0.5, "semantic_rank": 2}) == [("by meaning", "cosine 0.500, rank 2")]
    assert explained({"keyword": 3.25, "keyword_rank": 1}) == [("by words", "BM25 3.250, rank 1")]
    assert explained({"keyword": 3.25, "keyword_rank": None, "keyword_share": 1.0}) == [
        ("by words", "1.000 (BM25 3.250, not among its best)")
    ]


def test_a_text_that_the_snippet_shows_whole_is_not_shown_twice():
    assert make_card(1, result()).text == ""


def test_a_huge_text_is_cut_on_the_page():
    card = make_card(1, result(text="x" * 1_000_000))
    assert (len(card.text), card.more_characters) == (20_000, 980_000)
    assert "… and 980,000 more characters" in markup.cards([card])


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
