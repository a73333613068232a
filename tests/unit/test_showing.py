"""How a result reads."""

from __future__ import annotations

import pytest

from app.facade.showing import snippet_below
from indexing import Snippet


@pytest.mark.parametrize(
    ("title", "text", "left"),
    [
        ("Bread", "Bread\n\nDough rises.", "Dough rises."),
        ("Bread", "# Bread\nDough rises.", "Dough rises."),
        ("Bread", "BREAD: dough rises.", "dough rises."),
        ("Bread", "Bread\n=====\nDough rises.", "Dough rises."),
        ("Bread and  butter", "bread\tand butter.  Spread it.", "Spread it."),
        ("**Bread** today", "**Bread** today\nDough", "Dough"),
        ("Cold", "Cold\n-5 degrees", "-5 degrees"),
        ("List", "List\n- one\n- two", "- one\n- two"),
        ("Bread", "Bread", ""),
        ("Straße", "STRASSE\nlong", "STRASSE\nlong"),
        ("Bread", "Bread is made of flour.", "Bread is made of flour."),
        ("Why bread rises so", "Why bread rises so high in ovens.", "high in ovens."),
        ("Why bread rises so", "Why bread rises sooner.", "Why bread rises sooner."),
        ("Why bread rises so…", "Why bread rises sooner.", "oner."),
        ("Bread", "Breaded fish", "Breaded fish"),
        ("Bread", "Of Bread", "Of Bread"),
        ("", "Bread", "Bread"),
        ("…", "… and bread", "… and bread"),
        ("a.b", "a-b", "a-b"),
    ],
)
def test_what_the_title_says_is_not_said_again(title, text, left):
    assert snippet_below(title, Snippet(text)).text == left


def test_marks_move_along():
    snippet = Snippet("Bread\n\nDough of bread", [(0, 5), (7, 12), (16, 21)])
    assert snippet_below("Bread", snippet) == Snippet("Dough of bread", [(0, 5), (9, 14)])
    assert snippet_below("Br", snippet) is snippet
