"""Whatever goes through a text takes time in proportion to it: twice the text, about twice the time."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest

from app.cli.terminal import wrap
from app.text import caret, columns, plain, plain_json
from indexing.documents.chunk import chunk_documents, chunk_spans
from indexing.documents.formats.html import html_text
from indexing.documents.formats.markdown import markdown_text
from indexing.documents.model import storable_text
from indexing.documents.sentences import sentence_spans
from indexing.embed import chunk_text
from indexing.languages import language_of
from indexing.lexical.analysis import analyze
from indexing.lexical.folding import fold_marks
from indexing.lexical.identifiers import identifiers
from indexing.lexical.question import query_words
from indexing.lexical.runs import cut_runs
from indexing.normal_forms import normal_form
from indexing.openings import opening_of
from indexing.search.snippets import Highlighter, best_spots, make_snippet

# What is repeated to make a text. Each has led some parser or expression to look again at what it had seen.
PIECES = [
    *["fooBar", "a_", "a-", "1.2", "a@b.", "é"],
    *["x", " ", "\n", ".", "\t", "\r", "日", "\u200b", "\x00", "\ud800", "\u2028"],
    *[
        "fox ",
        "fox. ",
        "a\n\n",
        ". ",
        "e.g. ",
        "A.B. ",
        "日本。",
        "e\u0301",
        "\"'",
        ":a",
        "1.\n",
        "1. ",
        "- ",
        "# a\n",
    ],
    *["<", "<b>", "<p>", "</p>", "<!--", "<a href=", "&", "&amp;", "</"],
    *["<div>", "<div></p>", "<i><p>", "<title>", "<nav>", "<a x/>", "<svg><title>", "<p hidden>", "<style/>"],
    *["[", "](", "![", "[a](", "[a]: b\n", "`", "```\n", "*a ", "**a", "_a_", "> ", "|a|\n|-|\n", "\\"],
]
QUESTION = Highlighter(analyze, None).query("fox lazy dogs")


def words(texts):
    return [
        np.array([m.span() for m in re.finditer(r"\w+|[^\w\s]", t)], np.int32).reshape(-1, 2) for t in texts
    ]


LOOPS = {
    "sentences": sentence_spans,
    "passages": lambda text: chunk_documents([text], words),
    "estimated passages": lambda text: chunk_spans(text, None),
    "markdown": markdown_text,
    "html": html_text,
    "storable text": storable_text,
    "snippet": lambda text: make_snippet(text, (0, len(text)), QUESTION),
    "spots": lambda text: best_spots(text, (0, len(text)), QUESTION),
    "question": Highlighter(analyze, None).query,
    "analysis": analyze,
    "words of a question": query_words,
    "identifiers": identifiers,
    "runs without spaces": cut_runs,
    "folded marks": fold_marks,
    "normal form": normal_form,
    "language": language_of,
    "opening": lambda text: opening_of("", text, (0, len(text))),
    "code for a model": lambda text: chunk_text("f (a.py)", text),
    "plain": lambda text: plain(text, prose=True),
    "plain JSON": plain_json,
    "columns": columns,
    "caret": lambda text: caret(text, len(text) - 1),
    "wrap": lambda text: wrap(text, width=80, indent="  "),
}


def seconds(loop, text: str) -> float:
    """Processor time of this thread: other processes do not count."""
    started = time.thread_time()
    loop(text)
    return time.thread_time() - started


def is_linear(loop, piece: str, least: float = 0.0015) -> bool:
    """Whether eight times a text that takes `least` seconds takes less than thirty-six times as long.

    In proportion it takes eight times, and some more where the larger text leaves a cache or needs new
    memory; to the square sixty-four times. Where it takes longer, larger texts are looked at, each several
    times: there may be a size from which on something is done in portions, and a processor has other work
    now and then.
    """
    size = 2000
    while (taken := seconds(loop, piece * (size // len(piece)))) < least and size < 300_000:
        size *= 2
    if taken < least:
        return True  # it takes next to nothing, however long the text is
    for tries in (1, 2, 3):
        texts = [piece * (times * size // len(piece)) for times in (1, 8)]
        once, eight_times = (min(seconds(loop, text) for _ in range(tries)) for text in texts)
        if eight_times < 36 * once:
            return True
        size *= 2
    return False


@pytest.mark.parametrize("name", LOOPS)
def test_eight_times_the_text_takes_about_eight_times_the_time(name):
    assert [piece for piece in PIECES if not is_linear(LOOPS[name], piece)] == []


def test_the_measure_sees_what_is_not_linear():
    assert not is_linear(lambda text: [text.count("x", i) for i in range(0, len(text), 50)], "a", 0.0005)
