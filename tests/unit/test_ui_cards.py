"""What the cards of the page say, without Streamlit."""

from __future__ import annotations

import pytest

from app.facade.search import Facet, SearchRequest
from app.ui import markup
from app.ui.cards import highlighted_html, make_card
from app.wording import explain_score
from indexing import Result, SearchResults, Snippet
from indexing.errors import FilterError


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
    page = (
        markup.card(card)
        + markup.full_text(card)
        + markup.filter_failure(evil, FilterError(evil, 3))
        + markup.failure(evil)
    )
    page += markup.collection_name(evil) + markup.summary(
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
    assert explain_score({"semantic": 0.5, "semantic_rank": 2}) == [("by meaning", "cosine 0.500, rank 2")]
    assert explain_score({"keyword": 3.25, "keyword_rank": 1}) == [("by words", "BM25 3.250, rank 1")]
    assert explain_score({"keyword": 3.25, "keyword_rank": None, "keyword_share": 1.0}) == [
        ("by words", "1.000 (BM25 3.250, not among its best)")
    ]


def test_a_text_that_the_snippet_shows_whole_is_not_shown_twice():
    assert make_card(1, result()).text == ""


def test_a_huge_text_is_cut_on_the_page():
    card = make_card(1, result(text="x" * 1_000_000))
    assert (len(card.text), card.more_characters) == (20_000, 980_000)
    assert "… and 980,000 more characters" in markup.full_text(card)
