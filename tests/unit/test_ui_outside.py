"""Text from outside on the page: escaped in HTML, code in labels, never Markdown."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from app.facade.search import Facet, SearchRequest, combined_filter
from app.ui import markup
from app.ui.cards import highlighted_html
from app.ui.outside import as_html, as_label, isolate
from app.ui.search_page import with_count
from indexing.errors import FilterError
from indexing.search.filter_spelling import spell_field
from indexing.search.filters import Compare, parse_filter

UI = Path(__file__).resolve().parents[2] / "app" / "ui"

# What reads its first argument as Markdown
LABELLED = {
    *(
        "button",
        "caption",
        "checkbox",
        "download_button",
        "error",
        "expander",
        "file_uploader",
        "header",
        "info",
    ),
    *(
        "link_button",
        "markdown",
        "metric",
        "multiselect",
        "number_input",
        "pills",
        "popover",
        "progress",
        "radio",
    ),
    *(
        "segmented_control",
        "select_slider",
        "selectbox",
        "slider",
        "spinner",
        "status",
        "subheader",
        "success",
    ),
    *("tabs", "text_area", "text_input", "title", "toast", "toggle", "warning", "write"),
}
# Words of ours, with a number at most
OURS = {
    ("text_input", "QUESTION_LABEL"),
    ("popover", "f'Filters ({active})' if active else 'Filters'"),
    ("progress", "share"),  # a number
}
SAFE = {"as_label", "format_count", "format_bytes"}  # what makes a label of outside text, or words of ours


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Kind of thing 2", "Kind of thing 2"),
        ("größe", "größe"),
        ("a_b", "` a_b `"),
        ("![x](http://host/x.png)", "` ![x](http://host/x.png) `"),
        ("`a` ``b", "``` `a` ``b ```"),
        ("1. one", "` 1. one `"),
        (":red[x] :smile: $x$ <b> &amp; ->", "` :red[x] :smile: $x$ <b> &amp; -> `"),
        (":material/home:", "` :material\u2060/home: `"),
        ("a\n# b\u202e", r"` a\n# b\u202e `"),
        ("two  spaces", "` two  spaces `"),
    ],
)
def test_a_label_is_words_or_code(text, label):
    assert as_label(text) == label


def is_safe(node: ast.AST) -> bool:
    """A constant, `as_label(…)`, or a text that is put together of such."""
    if isinstance(node, ast.JoinedStr):
        return all(map(is_safe, node.values))
    if isinstance(node, ast.FormattedValue):
        return is_safe(node.value)
    if isinstance(node, ast.List):
        return all(map(is_safe, node.elts))
    made = isinstance(node, ast.Call) and getattr(node.func, "id", "") in SAFE
    return made or isinstance(node, ast.Constant)


def test_every_label_is_ours_or_made_from_outside_text():
    """A first argument that is neither a constant nor `as_label(…)` would be read as Markdown."""
    wrong = []
    for path in sorted(UI.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            owner, first = node.func.value, node.args[0]
            if not (isinstance(owner, ast.Name) and owner.id == "st") or node.func.attr not in LABELLED:
                continue
            if not (is_safe(first) or (node.func.attr, ast.unparse(first)) in OURS):
                wrong.append(f"{path.name}:{node.lineno}: {ast.unparse(first)}")
    assert wrong == []


def test_html_is_escaped_plain_and_isolated():
    assert as_html("<b>\u202e\n") == r"&lt;b&gt;\u202e\n"
    assert as_html("a\n\tb\u200f\u202e", prose=True) == "a\n\tb\u200f\\u202e"
    assert isolate("שלום <b>") == "<bdi>שלום &lt;b&gt;</bdi>"
    assert highlighted_html("a\u202eb\nc", [(1, 3)]) == "a<mark>\\u202eb</mark>\nc"


def test_nothing_on_the_page_turns_a_direction_or_is_unseen():
    evil = "\u202e\u2066\x1b\ufeff"
    facets = [Facet(evil, ((evil, 1), ("b", 2)))]
    page = markup.failure(evil) + markup.filter_failure(evil, FilterError(evil, 1)) + markup.hints([evil])
    page += markup.collection_name(evil) + markup.no_collections()
    assert not set(evil) & set(page)
    example = markup.filter_example(facets)
    assert parse_filter(example) == Compare(evil, "=", evil)


def test_the_pointer_stands_under_what_is_shown():
    shown = markup.filter_failure("\x1ba ~", FilterError("x", 3))
    assert "<pre>\\x1ba ~\n      ^</pre>" in shown


@pytest.mark.parametrize(
    "name", ["kind", "a.b-c", "größe", "two words", 'say "hi"', "1st", "NOT", "in", "a:b"]
)
def test_a_field_is_written_so_that_a_filter_names_it(name):
    assert parse_filter(f"{spell_field(name)} = 1") == Compare(name, "=", 1)
    assert parse_filter(combined_filter(SearchRequest(picks={name: ("x",)}))) == Compare(name, "=", "x")


def test_values_that_are_shown_alike_have_labels_of_their_own():
    counts = {"\u202e": 2, "\\u202e": 3, "a\nb": 1}
    labels = [with_count(value, counts) for value in counts]
    assert labels == ["“\\u202e” (2)", "\\u202e (3)", "a\\nb (1)"]
