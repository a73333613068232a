"""How parts of a score read."""

from __future__ import annotations

from app.wording import explain_score, format_equation
from indexing.names import LEGS


def test_every_leg_has_its_words():
    for leg in LEGS:
        ((name, text),) = explain_score({leg: 1.5, f"{leg}_rank": 3})
        assert name != f"by {leg}"
        assert text.endswith(" 1.500, rank 3")


def test_legs_are_told_in_their_order_however_many_there_are():
    parts = {
        **{"keyword": 2.0, "keyword_rank": 1, "keyword_share": 0.5},
        **{"semantic": 0.0, "semantic_rank": None, "semantic_share": 0.0},
        **{"tokens": 3.0, "tokens_rank": 2, "tokens_share": 1.25},
    }
    assert explain_score(parts) == [
        ("by words", "0.500 (BM25 2.000, rank 1)"),
        ("by meaning", "0.000 (cosine 0.000, not among its best)"),
        ("by tokens", "1.250 (score 3.000, rank 2)"),
    ]
    assert format_equation(1.75, parts) == (
        "1.750 = by words 0.500 (BM25 2.000, rank 1) + by meaning 0.000 (cosine 0.000, not among its best)"
        " + by tokens 1.250 (score 3.000, rank 2)"
    )


def test_a_word_that_is_nowhere_scores_nothing():
    parts = {"keyword": 0.0, "keyword_rank": None, "keyword_share": 0.0}
    assert explain_score(parts) == [("by words", "0.000 (no word matches)")]


def test_memory_features_and_boosts_are_explained():
    parts = {
        "semantic": 0.5,
        "semantic_rank": 1,
        "semantic_share": 3.0,
        "memory": 0.75,
        "memory_rank": 2,
        "memory_share": 1.5,
        "title_share": 0.25,
        "boost_1_share": -1.0,
    }
    assert explain_score(parts) == [
        ("by meaning", "3.000 (cosine 0.500, rank 1)"),
        ("by judgments", "1.500 (worth 0.750, rank 2)"),
        ("by title", "0.250"),
        ("boost 1", "-1.000"),
    ]
