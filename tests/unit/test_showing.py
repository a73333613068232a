"""How a result reads."""

from __future__ import annotations

import pytest

from app.facade.showing import Whence, file_of, snippet_below, whence
from indexing import Result, Snippet
from indexing.documents.marks import Place


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


def result(id_, origin, place=(), title="", **metadata):
    return Result(id_, 1.0, title, "text", Snippet("text"), metadata, {}, None, origin, Place(*place))


@pytest.mark.parametrize(
    ("found", "path", "crumbs"),
    [
        (result("a/b.md", "/home/me/notes/a/b.md"), "/home/me/notes/a/b.md", "notes a b.md"),
        (result("b.md", "/b.md"), "/b.md", "/ b.md"),
        (result("x.pdf", "/docs/x.pdf", (3,)), "/docs/x.pdf", "docs x.pdf page~3"),
        (result("x.py", "/docs/x.py", (None, 1200)), "/docs/x.py", "docs x.py line~1,200"),
        (result("x.md", "/d/x.md", (None, 7, ("T", "Set")), "T"), "/d/x.md", "d x.md Set"),
        (result("x.md", "/d/x.md", (None, 7, ("T",)), "T"), "/d/x.md", "d x.md line~7"),
        (result("x.md", "/d/x.md", (2, 7, ("T", "U"))), "/d/x.md", "d x.md T U page~2"),
        (result("a.csv#12", "/d/a.csv#12", (None, 12)), "/d/a.csv", "d a.csv line~12"),
        (result("m.eml#a/b.txt", "/d/m.eml#a/b.txt"), "/d/m.eml", "d m.eml a/b.txt"),
        (result("m.py#f", "/C#/m.py#f", title="f"), "/C#/m.py", "C# m.py"),
        (result("C#.md", "/d/C#.md", path="C#.md"), "/d/C#.md", "d C#.md"),
        (result("e/C#.md#4", "/d/e/C#.md#4", path="e/C#.md"), "/d/e/C#.md", "d e C#.md"),
        (result("e/C#.md", "/d/e/C#.md", path=7), "/d/e/C", "d e C .md"),
        (result("own", "/d/e/a.jsonl#7", (None, 7)), "/d/e/a.jsonl", "e a.jsonl line~7"),
    ],
)
def test_where_a_result_is_from(found, path, crumbs):
    assert (file_of(found), whence(found).crumbs) == (
        path,
        tuple(one.replace("~", " ") for one in crumbs.split(" ")),
    )


def test_a_document_of_no_file_is_from_nowhere():
    assert (whence(result("x", "")), file_of(result("x", ""))) == (None, "")


def test_page_and_line_are_told():
    assert whence(result("x", "/d/x", (4, 9))) == Whence("/d/x", "/d", ("d", "x", "page 4"), 4, 9)
