"""What a search of the page asks for, and what becomes of addresses, picks and expressions."""

from __future__ import annotations

from dataclasses import replace

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


def test_the_city_of_many_rows_comes_before_two_labels():
    counts = {
        "label": FacetCounts([("yes", 30), ("no", 10)], 2, 40),
        "city": FacetCounts([(f"City {i}", 20) for i in range(200)], 200, 4_000),
        "country": FacetCounts([("de", 3_900), ("at", 100)], 2, 4_000),
        "grade": FacetCounts([(i, 1_000) for i in range(4)], 4, 4_000),
    }
    assert [facet.name for facet in facet_choices(counts)] == ["city", "grade", "country", "label"]


def test_of_files_folder_type_and_language_are_choices():
    counts = {
        "path": FacetCounts([(f"a/{i}.md", 1) for i in range(8)], 8, 8),
        "name": FacetCounts([(f"{i}.md", 1) for i in range(8)], 8, 8),
        "size": FacetCounts([(100 * i, 1) for i in range(8)], 8, 8),
        "folder": FacetCounts([("a", 3), ("b", 3), ("c", 2)], 3, 8),
        "type": FacetCounts([("Markdown", 5), ("PDF", 3)], 2, 8),
        "lang": FacetCounts([("en", 7)], 1, 7),
    }
    assert [facet.name for facet in facet_choices(counts)] == ["folder", "type"]


def test_what_is_no_list_is_no_choice_and_dates_are_years():
    years = (("2024", 300), ("2023", 100))
    dates = [(f"2024-01-{day:02}", 1) for day in range(1, 32)]
    counts = {
        "price": FacetCounts([(i / 100, 10) for i in range(60)], 60, 600),
        "note": FacetCounts([("x" * 100 + str(i), 60) for i in range(10)], 10, 600),
        "seen": FacetCounts(dates, 10_000, 400, complete=False, years=years),
        "day": FacetCounts([("2024-01-01", 300), ("2024-01-02", 300)], 2, 600, years=(("2024", 600),)),
        "same": FacetCounts([("2024-01-01", 600)], 1, 600, years=(("2024", 600),)),
    }
    assert facet_choices(counts) == [
        Facet("day", (("2024-01-01", 300), ("2024-01-02", 300))),
        Facet("seen", years),
    ]


EVIL = [
    *["it's", '"so"', "a\\b", "*bold* _x_ `code`", "<b>&amp;", "\\x41", "\\u202e", "\u202e", "%", " a "],
    *["line\nline", "null", "1", "' or 1 = 1 --", ":material/search:", "$x$"],
]


def test_a_label_is_a_text_however_odd(home):
    documents = [
        {"id": f"{i}-{n}", "text": "x", "metadata": {"label": value}}
        for n in "ab"
        for i, value in enumerate(EVIL)
    ]
    with Collection.create("odd", home=home) as collection:
        collection.add([*documents, {"id": "one", "text": "x", "metadata": {"label": 1}}])
        (facet,) = facets = facet_choices({"label": replace(collection.facets()["label"], documents=100)})
        assert sorted(facet.count_of()) == sorted(EVIL)
        for i, value in enumerate(EVIL):
            found = search(collection, SearchRequest(q="x", picks={"label": (value,)}), facets)
            expected = {f"{i}-a", f"{i}-b"} | ({"one"} if value == "1" else set())
            assert {one.id for one in found.results} == expected
            assert facet.count_of()[value] == len(expected)


def test_a_year_that_is_picked_finds_its_dates(home):
    with Collection.create("dates", home=home) as collection:
        collection.add(
            {
                "id": f"{year}-{i}",
                "text": "x",
                "metadata": {"at": f"{year}-03-{1 + i % 28:02}T10:{i % 60:02}:00Z"},
            }
            for year in (2023, 2024)
            for i in range(60)
        )
        facets = facet_choices(collection.facets())
        assert facets == [Facet("at", (("2024", 60), ("2023", 60)))]
        request = SearchRequest(q="x", k=50, picks={"at": ("2024",)})
        assert {one.id[:4] for one in search(collection, request, facets).results} == {"2024"}
        assert collection.count(combined_filter(request, facets)) == 60


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
