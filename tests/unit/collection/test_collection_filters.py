"""Filters and facets of a collection: what matches in every mode, what is counted, and what is said."""

from __future__ import annotations

import pytest

from indexing import Collection
from indexing.errors import FilterError
from indexing.facets import FacetCounts
from indexing.search import searcher


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("legs = 4", {"dog", "cat"}),
        ("legs > 0 and not tame = true", {"bee"}),
        ("tags = 'sea'", {"whale"}),
        ("tame = null", {"whale", "bee"}),
        ("legs in (0, 6)", {"whale", "bee"}),
        ("legs = 99", set()),
    ],
)
def test_filters_hold_in_every_mode(animals, filter, expected, ids):
    assert set(ids(animals.search("animal", mode="semantic", filter=filter))) == expected
    assert set(ids(animals.search("breathe honey bark purr", mode="keyword", filter=filter))) == expected
    assert set(ids(animals.search("breathe honey bark purr", filter=filter))) == expected


@pytest.mark.parametrize("mode", ["hybrid", "semantic", "keyword"])
def test_a_document_that_changes_during_a_search_must_still_match(
    animals, home, monkeypatch, mode, documents
):
    query = "breathe honey bark purr"
    animals.search(query, mode=mode)
    rank = searcher.rank

    def after_a_change(*arguments):
        monkeypatch.undo()
        found = rank(*arguments)
        with Collection.open("animals", home=home) as other:
            other.add([{**documents[2], "metadata": {"legs": 3}}])
            other.refresh()
        return found

    monkeypatch.setattr(searcher, "rank", after_a_change)
    found = animals.search(query, 2, mode=mode, filter="legs >= 4")
    assert {r.id: r.metadata["legs"] for r in found.results} == {"cat": 4, "bee": 6}


def test_a_misspelt_field_in_a_filter_is_hinted_at(animals):
    assert animals.search("honey", filter="legs = 6 or tags = 'air'").notes == []
    assert animals.search("honey", filter="Legs = 6").notes == [
        "no document has the field 'Legs'; did you mean 'legs'?"
    ]
    for _ in range(2):  # looked up, and remembered
        assert animals.search("honey", filter="not (tag = 'air' or tame = true)").notes == [
            "no document has the field 'tag'; did you mean 'tags'?"
        ]
    assert animals.search("honey", filter="colour != 'x' and colour != 'y'").notes == [
        "no document has the field 'colour'; there are: legs, tags, tame"
    ]


def test_no_more_than_five_fields_are_hinted_at_and_long_names_are_cut(animals):
    many = " or ".join(f"field{number} = 1" for number in range(60))
    assert [note.split("'")[1] for note in animals.search("honey", filter=many).notes] == [
        f"field{number}" for number in range(5)
    ]
    [note] = animals.search("honey", filter=f'"{"x" * 9_000}" = 1').notes
    assert note == f"no document has the field '{'x' * 59}…'; there are: legs, tags, tame"


@pytest.mark.parametrize(
    ("filter", "note"),
    [
        ("legs = '4'", "the field 'legs' holds numbers, not text: write 4 without quotes"),
        ("legs > 'four'", "the field 'legs' holds numbers, not text"),
        ("not legs in ('4', 6)", "the field 'legs' holds numbers, not text: write 4 without quotes"),
        ("legs = true", "the field 'legs' holds numbers, not true or false"),
        ("tame = 'True'", "the field 'tame' holds true or false, not text: write true without quotes"),
        ("tags = 4", "the field 'tags' holds text, not numbers: write '4' in quotes"),
        ("tags = true", "the field 'tags' holds text, not true or false: write 'true' in quotes"),
        (
            "mixed = true",
            "the field 'mixed' holds text and numbers, not true or false: write 'true' in quotes",
        ),
    ],
)
def test_a_value_of_another_kind_than_the_field_holds_is_hinted_at(animals, filter, note):
    animals.add(
        [
            {"id": "x", "text": "x", "metadata": {"mixed": 1, "empty": None}},
            {"id": "y", "text": "y", "metadata": {"mixed": "1"}},
        ]
    )
    assert animals.search("honey", filter=filter).notes == [note]


def test_values_of_the_kind_that_a_field_holds_need_no_hint(animals):
    animals.add([{"id": "x", "text": "x", "metadata": {"empty": None}}])
    for filter in ("legs = 4 and legs = null", "tags = 'sea'", "tame = false", "empty = 3", "empty = null"):
        assert animals.search("honey", filter=filter).notes == []


def test_filter_returns_as_many_as_match(home, ids):
    collection = Collection.create("c", home=home)
    collection.add(
        {"id": str(i), "text": f"text number {i}", "metadata": {"odd": i % 2 == 1, "i": i}}
        for i in range(3000)
    )
    for mode in ("semantic", "keyword", "hybrid"):
        assert len(ids(collection.search("text number", 40, mode=mode, filter="odd = true"))) == 40
        assert set(ids(collection.search("text number", 40, mode=mode, filter="i >= 2990"))) == {
            str(i) for i in range(2990, 3000)
        }


def test_facets_count_values(animals):
    facets = animals.facets()
    assert facets["legs"].values == [(4, 2), (0, 1), (6, 1)]
    assert facets["tags"].values == [("air", 1), ("mammal", 1), ("sea", 1)]
    assert (facets["tame"].values, facets["tame"].documents) == ([(True, 2)], 2)


def test_facets_of_many_values_are_counted_in_bounded_memory(home, monkeypatch):
    monkeypatch.setattr("indexing.facets.MAX_VALUES", 50)
    monkeypatch.setattr("indexing.facets.MAX_FIELDS", 3)
    monkeypatch.setattr("indexing.facets.BATCH_DOCUMENTS", 64)
    with Collection.create("c", home=home) as collection:
        collection.add(
            {
                "id": str(i),
                "text": "x",
                "metadata": {"a": i, "b": i % 2 == 0, "c": "long " * 100 + str(i % 3), f"z{i}": 1},
            }
            for i in range(300)
        )
        facets = collection.facets()
        assert list(facets) == ["a", "b", "c"]
        assert (facets["a"].distinct, facets["a"].documents, facets["a"].complete) == (50, 300, False)
        assert facets["b"] == FacetCounts([(False, 150), (True, 150)], 2, 300)
        assert facets["c"] == FacetCounts([], 3, 300)


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ("not " * 49 + "legs = 6", ["cat", "dog", "whale"]),
        ("(" * 49 + "legs = 6" + ")" * 49, ["bee"]),
        ("legs < 1e400 and legs > -1e400 and not legs in (0, 4)", ["bee"]),
        (f"legs < {'9' * 9000} and legs != 0.{'0' * 900}", ["bee", "cat", "dog"]),
        (" or ".join(["legs = 6"] * 500), ["bee"]),
        (" and ".join(["legs != null"] * 499 + ["legs = 6"]), ["bee"]),
        ("tags = '\udcff\x00'", []),
        ('"\ud800" = 1', []),
        (f"legs in ({','.join('6' * 500)})", ["bee"]),
    ],
)
def test_odd_filters_are_answered(animals, filter, found, ids):
    assert sorted(ids(animals.search("honey", filter=filter))) == found


def test_wrong_filter_names_the_position(animals):
    with pytest.raises(FilterError, match="position 6") as caught:
        animals.search("x", filter="legs 4")
    assert caught.value.position == 5


PLACES = {
    "munich": {"city": "München", "opened": "2024-05-01T10:00:00Z"},
    "decomposed": {"city": "MU\u0308NCHEN", "opened": "2024-05-01"},
    "plain": {"city": "Munchen", "opened": "2024-04-30"},
    "zoned": {"city": "Straße 1", "opened": "2024-05-02T01:00:00+02:00"},
    "noted": {"city": "stra\u00adsse 1", "opened": "soon"},
}


@pytest.fixture
def places(home):
    with Collection.create("places", home=home) as collection:
        collection.add({"id": id_, "text": "a place", "metadata": fields} for id_, fields in PLACES.items())
        yield collection


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("city = 'münchen'", {"munich", "decomposed"}),
        ("city in ('MÜNCHEN', 'munchen')", {"munich", "decomposed", "plain"}),
        ("city = \"STRASSE 1\"", {"zoned", "noted"}),
        ("city like 'm%'", {"munich", "decomposed", "plain"}),
        ("city like '%asse _'", {"zoned", "noted"}),
        ("city not like '%n%'", {"zoned", "noted"}),
        ("opened = 2024-05-01", {"munich", "decomposed", "zoned"}),
        ("opened = '2024-05-01'", {"munich", "decomposed", "zoned"}),
        ("opened >= 2024-05-01", {"munich", "decomposed", "zoned"}),
        ("opened > 2024-05-01T10:00:00Z", {"zoned"}),
        ("opened between 2024-04-30 and 2024-05-01T00:00", {"plain", "decomposed"}),
        ("opened = 2024-05", {"munich", "decomposed", "zoned"}),
        ("opened >= '2024'", {"munich", "decomposed", "plain", "zoned", "noted"}),
        ("opened like '2024-05%'", {"munich", "decomposed", "zoned"}),
        ("opened is not null and not opened < 2025-01", {"noted"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("published", [True, False])
def test_texts_and_dates_compare_as_people_mean_them(places, filter, expected, published, ids):
    if published:
        places.refresh()
    assert set(ids(places.search("place", filter=filter))) == expected
    assert {document.id for document in places.documents(filter)} == expected
    assert places.search("place", filter=filter).notes == []


@pytest.mark.parametrize(
    ("filter", "note"),
    [
        ("opened = 3", "the field 'opened' holds text and dates, not numbers: write '3' in quotes"),
        ("until = 2024", "the field 'until' holds dates, not numbers: write '2024' in quotes"),
        (
            "until > 'May'",
            "the field 'until' holds dates, not text: write a date such as 2024-05-31 or 2024-05",
        ),
        ("by = 'x'", "the field 'by' holds fields of its own: by.age, by.name"),
        ("name = 'x'", "no document has the field 'name'; did you mean 'by.name'?"),
        ("by.nam = 'x'", "no document has the field 'by.nam'; did you mean 'by.name' or 'by.age'?"),
        ("by.age = 2024-05", "the field 'by.age' holds numbers, not dates"),
        ("sizes = 'x'", "the field 'sizes' holds numbers, not text"),
        ("none = 'x'", None),
    ],
)
@pytest.mark.parametrize("published", [True, False])
def test_hints_of_kinds_and_nested_fields(places, filter, note, published):
    nested = {"until": "2024-05-01", "by": {"name": "x", "age": 3}, "sizes": [1, 2], "none": []}
    places.add([{"id": "nested", "text": "a place", "metadata": nested}])
    if published:
        places.refresh()
    assert places.search("place", filter=filter).notes == ([] if note is None else [note])


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("by.name = 'X'", {"object", "dotted", "list"}),
        ("\"by.name\" = 'x'", {"object", "dotted", "list"}),
        ("by.at.year between 2000 and 2010", {"object"}),
        ("by.at.year > 2000 and by.name = 'y'", {"list"}),
        ("by is null", {"dotted", "bare"}),
        ("by.name is null", {"bare"}),
        ("by.name has all ('x', 'y')", {"list"}),
        ("n has 2.5 and n has null", {"list"}),
        ("n has any ('a', true)", {"list", "object"}),
        ("n between 3 and 9", set()),
    ],
)
@pytest.mark.parametrize("published", [True, False])
def test_nested_objects_and_mixed_lists(home, filter, expected, published, ids):
    documents = {
        "object": {"by": {"name": "x", "at": {"year": 2005}}, "n": [True]},
        "dotted": {"by.name": "x", "n": [1, 10]},
        "list": {"by": [{"name": "x", "at": {"year": 1990}}, {"name": "y", "at": {"year": 2020}}],
                 "n": [1, 2.5, "a", None, 10]},
        "bare": {"n": None},
    }  # fmt: skip
    with Collection.create("nested", home=home) as collection:
        collection.add({"id": i, "text": "thing", "metadata": fields} for i, fields in documents.items())
        if published:
            collection.refresh()
        assert set(ids(collection.search("thing", filter=filter))) == expected
        assert collection.count(filter) == len(expected)


@pytest.mark.parametrize("published", [True, False])
def test_facets_merge_spellings_and_count_years(home, monkeypatch, published):
    cities = ["München"] * 3 + ["münchen", "MU\u0308NCHEN", "Köln", "Koln"]
    days = [
        "2024-05-01",
        "2024-05-01T10:00:00Z",
        "2023-12-31T23:30:00-01:00",
        "2023-01",
        None,
        "1969-07-20",
        "0001-01-01",
    ]
    with Collection.create("c", home=home) as collection:
        collection.add(
            {"id": str(i), "text": "x", "metadata": {"city": city, "by": {"day": day}, "mixed": [day, "x"]}}
            for i, (city, day) in enumerate(zip(cities, days, strict=True))
        )
        if published:
            collection.refresh()
            collection.delete(["0"])
        facets = collection.facets()
        assert facets["city"].values == [("München", 5 - published), ("Koln", 1), ("Köln", 1)]
        assert (facets["city"].distinct, facets["city"].years) == (3, ())
        assert facets["by.day"].years == (("2024", 3 - published), ("2023", 1), ("1969", 1), ("0001", 1))
        assert "by" not in facets and facets["mixed"].years == ()
        monkeypatch.setattr(type(collection._views.columns), "reader", lambda self, connection: None)
        assert collection.facets() == facets


def test_facets_bring_only_the_metadata_up_to_date(home):
    with Collection.create("c", home=home) as collection:
        collection.add({"id": str(i), "text": f"x {i}", "metadata": {"n": i % 3}} for i in range(200))
    with Collection.open("c", home=home) as collection:
        assert collection.facets()["n"].values == [(0, 67), (1, 67), (2, 66)]
        assert collection._views.columns.seq() == 200
