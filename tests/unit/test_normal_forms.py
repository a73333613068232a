"""The form in which filters compare texts and words are looked up."""

from __future__ import annotations

import sys
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.normal_forms import MOST_MARKS, fold_case, normal_form


@pytest.mark.parametrize(
    ("form", "texts"),
    [
        (
            "münchen",
            ["München", "MÜNCHEN", "Mu\u0308nchen", "Mün\u00adchen", "\ufeffmünchen", "ｍüｎｃｈｅｎ"],
        ),
        ("strasse", ["Straße", "STRASSE", "STRAẞE", "stra\u200bsse"]),
        ("σίσυφοσ", ["Σίσυφος", "ΣΊΣΥΦΟΣ", "σι\u0301συφος"]),
        ("istanbul", ["İstanbul", "ISTANBUL", "I\u0307stanbul", "i\u0307stanbul"]),
        ("كتاب", ["كتاب", "كت\u200dاب"]),
        ("カタカナ", ["ｶﾀｶﾅ", "カタカナ"]),
        ("한국", ["한국", unicodedata.normalize("NFD", "한국")]),
        ("👨👩", ["👨\u200d👩", "👨\ufe0f👩"]),
        ("file", ["ﬁle", "FILE"]),
        ("", ["", "\u00ad", "\u200b\ufeff"]),
    ],
)
def test_what_a_person_takes_for_the_same_has_one_form(form, texts):
    assert [normal_form(text) for text in texts] == [form] * len(texts)


@pytest.mark.parametrize(
    ("one", "other"), [("Munchen", "München"), ("résumé", "resume"), ("ısparta", "isparta"), ("a b", "ab")]
)
def test_other_texts_stay_apart(one, other):
    assert normal_form(one) != normal_form(other)


def test_every_character_keeps_its_form():
    assigned = [chr(c) for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)) not in ("Cn", "Co")]
    forms = [normal_form(character) for character in assigned]
    assert [c for c, form in zip(assigned, forms, strict=True) if normal_form(form) != form] == []
    ways = [unicodedata.normalize("NFD", character) for character in assigned]
    assert [c for c, way, form in zip(assigned, ways, forms, strict=True) if normal_form(way) != form] == []


letters = st.sampled_from("aiIİıσςßẞée\u0301\u0307\u0323\u0345\u00ad\u200d\u3164ｶﾞﬁK²ⅷǰΐ\u1100\u1161\u0f73")


@given(st.text(letters | st.characters(), max_size=40))
def test_a_form_is_its_own_and_that_of_every_way_of_writing_a_text(text):
    form = normal_form(text)
    assert normal_form(form) == form
    assert normal_form(unicodedata.normalize("NFD", text)) == form
    assert normal_form(unicodedata.normalize("NFC", text)) == form


def test_text_without_case_is_folded_alone():
    assert fold_case("ΟΔΟΣ Straße İ é") == "οδοσ strasse i é"


def seconds_for(text):
    began = time.process_time()
    normal_form(text)
    return time.process_time() - began


@pytest.mark.parametrize("text", ["a\u0300\u0323", "\u0300\u0323", "é\u00ad", "İ\u0307", "\ufdfa"])
def test_time_grows_with_the_text(text):
    normal_form(text * 1_000)
    short, long = (min(seconds_for(text * count) for _ in range(3)) for count in (20_000, 80_000))
    assert long < 10 * short + 0.01


def test_of_a_crowd_of_marks_the_first_count():
    crowd = "e" + "\u0301" * 5_000
    assert len(normal_form(crowd)) == MOST_MARKS
    assert normal_form(crowd) == normal_form(crowd + "\u0301")
