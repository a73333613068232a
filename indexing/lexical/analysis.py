"""How text becomes terms for BM25, the same for documents and queries.

Words are runs of letters and digits; they are lower-cased, accents are folded to ASCII, and English word
forms are reduced to stems (Porter 2001, "Snowball"). Function words stay in the index, so that a query made
of them alone still finds something, and weigh little in a query that has others.

The weights were chosen by NDCG@10 on cranfield's train judgments: one field of title and text 0.355; with
the title once more at `TITLE_WEIGHT` 0.378; and function words at `FUNCTION_WORD_WEIGHT` 0.388.
"""

from __future__ import annotations

from functools import cache

import tantivy
from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

ANALYZER = "english"
ANALYSIS_VERSION = 1
"""Stored with every snapshot: one made by another version of this file is rebuilt."""

TITLE_WEIGHT = 0.75
FUNCTION_WORD_WEIGHT = 0.1
MAX_QUERY_TERMS = 256
"""Distinct terms of a query that are searched; of longer texts the first ones, content words first."""

_LONGEST_WORD = 256

FUNCTION_WORDS = frozenset(
    """a about also am an and any are as at be been being but by can could did do does for from had has have
    he her him his how i if in into is it its just may me might must my no not of on or our shall she should
    so some such than that the their them then there these they this those to us was we were what when where
    which who whom whose why will with would you your""".split()
)


@cache
def schema() -> tantivy.Schema:
    """`key` finds and identifies a document; `body` has title and text, `title` the title alone."""
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("key", indexed=True, fast=True)
    builder.add_text_field("title", tokenizer_name=ANALYZER, index_option="freq")
    builder.add_text_field("body", tokenizer_name=ANALYZER, index_option="freq")
    return builder.build()


@cache
def analyzer() -> tantivy.TextAnalyzer:
    """Text to terms, for the index and for queries."""
    return _words().filter(Filter.stemmer("english")).build()


@cache
def content_analyzer() -> tantivy.TextAnalyzer:
    """The same without function words."""
    stopped = _words().filter(Filter.custom_stopword(sorted(FUNCTION_WORDS)))
    return stopped.filter(Filter.stemmer("english")).build()


def _words() -> TextAnalyzerBuilder:
    words = TextAnalyzerBuilder(Tokenizer.simple()).filter(Filter.remove_long(_LONGEST_WORD))
    return words.filter(Filter.lowercase()).filter(Filter.ascii_fold())


def clean(text: str) -> str:
    """Text that can be written as UTF-8: lone surrogates become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def analyze(text: str) -> list[str]:
    """The terms of a text in their order, as the index sees them."""
    return analyzer().analyze(clean(text))


def content_stems(text: str) -> frozenset[str]:
    """The distinct terms of a text without function words. Any text is fine."""
    return frozenset(content_analyzer().analyze(clean(text)))


def query_terms(text: str) -> dict[str, float]:
    """Terms of a question with their weights, at most `MAX_QUERY_TERMS`. Any text is fine."""
    text = clean(text)
    content = dict.fromkeys(content_analyzer().analyze(text), 1.0)
    others = dict.fromkeys(analyze(text), FUNCTION_WORD_WEIGHT)
    return dict(
        list((content | {t: w for t, w in others.items() if t not in content}).items())[:MAX_QUERY_TERMS]
    )
