"""Text from outside is shown, not obeyed."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text import plain, plain_json


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("café – 日本 \xa0 שלום", "café – 日本 \xa0 שלום"),
        ("\x1b]0;owned\x07\x1b[2J", r"\x1b]0;owned\x07\x1b[2J"),
        ("\x9b31m\x85\x7f\x00", r"\x9b31m\x85\x7f\x00"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("photo\u202egnp.exe", r"photo\u202egnp.exe"),
        ("\u2066\u2069\u200f\u061c", r"\u2066\u2069\u200f\u061c"),
        ("\ufeffa\u200bb\u2060c", r"\ufeffa\u200bb\u2060c"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("\U000e0041\U000e0042", r"\U000e0041\U000e0042"),
        ("👩\u200d🚀 می\u200cخواهم co\xadop", "👩\u200d🚀 می\u200cخواهم co\xadop"),  # writing needs these
        ("![x](http://host/x.png) <b>", "![x](http://host/x.png) <b>"),  # a terminal's business only
    ],
)
def test_what_would_be_obeyed_or_unseen_is_written_out(text, shown):
    assert plain(text) == shown


def test_prose_keeps_lines_and_marks_of_direction():
    assert plain("a\n\tb\x1b\r\n", prose=True) == "a\n\tb\\x1b\\r\n"
    assert plain("שלום!\u200f ក\u200bខ \u202e\ufeff", prose=True) == "שלום!\u200f ក\u200bខ \\u202e\\ufeff"


def test_no_control_and_no_direction_is_left():
    for code in range(0x110000):
        character = chr(code)
        obeyed = unicodedata.category(character) in ("Cc", "Zl", "Zp")
        turned = unicodedata.bidirectional(character) in (
            "LRE",
            "LRO",
            "RLE",
            "RLO",
            "PDF",
            "LRI",
            "RLI",
            "FSI",
            "PDI",
        )
        assert (plain(character) != character) or not (obeyed or turned), hex(code)


@given(st.text(st.characters(), max_size=20))
def test_plain_text_is_left_alone_and_json_says_the_same(text):
    assert plain(plain(text)) == plain(text)
    dumped = plain_json(json.dumps([text, {text: None}], ensure_ascii=False, indent=2))
    assert json.loads(dumped) == [text, {text: None}]
    assert plain(dumped, prose=True) == dumped
    dumped.encode()
