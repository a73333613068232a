"""How text becomes terms for BM25, the same for documents and questions.

* Words are runs of letters, marks and digits in their normal form. Accents, niqqud and harakat are folded,
  and word forms are reduced to stems (Porter 2001, "Snowball") in the language of the document.
* Scripts without spaces between words are cut into overlapping pieces, see `indexing.lexical.runs`.
* Part numbers, addresses, versions and identifiers are terms as a whole, too, see
  `indexing.lexical.identifiers`.

Function words stay in the index, so that a question made of them alone still finds something.

`TITLE_WEIGHT` was chosen by NDCG@10 on cranfield's train judgments: one field of title and text 0.355; with
the title once more 0.378.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache

import tantivy
from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

from indexing.documents.formats.registry import format_of
from indexing.languages import language_of
from indexing.lexical.folding import fold_marks
from indexing.lexical.identifiers import DASHES, Identifier, identifiers
from indexing.lexical.runs import cut_runs, index_pieces
from indexing.normal_forms import normal_form

ANALYZER = "english"
"""What the index does by itself to plain English; of other texts it is given the terms."""

ANALYSIS_VERSION = 2
"""Stored with every snapshot: one made by another version of this file is rebuilt."""

TITLE_WEIGHT = 0.75

STEMMERS = {
    "ar": "arabic", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish",
    "fi": "finnish", "fr": "french", "hu": "hungarian", "it": "italian", "nl": "dutch", "no": "norwegian",
    "pt": "portuguese", "ro": "romanian", "ru": "russian", "sv": "swedish", "ta": "tamil",
    "tr": "turkish",
}  # fmt: skip
"""Languages with a stemmer. Others, and texts whose language is not sure, take the default."""

DEFAULT_LANGUAGE = "en"

FUNCTION_WORDS = frozenset(
    """a about also am an and any are as at be been being but by can could did do does for from had has have
    he her him his how i if in into is it its just may me might must my no not of on or our shall she should
    so some such than that the their them then there these they this those to us was we were what when where
    which who whom whose why will with would you your""".split()
)

_LONGEST_WORD = 256  # bytes
_BLOCK = 100_000  # characters that are analysed at once


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
    """The words of an ASCII text to stems."""
    return _stems(DEFAULT_LANGUAGE, ascii_only=True)


def clean(text: str) -> str:
    """Text that can be written as UTF-8: lone surrogates become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def analyze(text: str, language: str = DEFAULT_LANGUAGE) -> list[str]:
    """The terms of a text, as the index has them, with the stemmer of `language`, one of `STEMMERS`."""
    return [term for block in blocks(clean(text)) for term in analyze_block(block, language)]


def stemming_language(title: str, text: str) -> str:
    """The language whose stemmer a document takes."""
    language = language_of(text) or language_of(title)
    return language if language in STEMMERS else DEFAULT_LANGUAGE


def is_symbol(title: str) -> bool:
    """Whether a title is the name of a thing in a program, such as `datetime.date.today()`, and no file's.
    Its parts say where the thing lies rather than what it is about: they are in the body, and no title.

    NDCG@10 on the train questions of the sample corpus by words 0.192 with them there and 0.219 without,
    hybrid 0.297 and 0.318.
    """
    found = _SYMBOL.fullmatch(title.strip())
    return found is not None and ("." not in found["name"] or format_of(found["name"]) is None)


_WORD = r"[A-Za-z_][A-Za-z0-9_]*"
_SYMBOL = re.compile(rf"(?P<name>{_WORD}(?:\.{_WORD})+|{_WORD}(?=\())(?:\(.*\)(?: -> .*)?)?", re.DOTALL)


def blocks(text: str) -> Iterator[str]:
    """`text` in pieces of bounded size, cut at spaces where there are any near."""
    start = 0
    while len(text) - start > _BLOCK:
        end = max(text.rfind(mark, start + _BLOCK // 2, start + _BLOCK) for mark in " \n") + 1
        end = end or start + _BLOCK
        yield text[start:end]
        start = end
    yield text[start:]


def analyze_block(text: str, language: str) -> list[str]:
    """The terms of a text of at most some 100,000 characters."""
    text, plain = plain_text(text, language)
    if plain:
        return analyzer().analyze(text) + name_terms(text)
    folded, runs = cut_runs(normal_form(text))
    terms = word_forms(folded, language)
    for run in runs:
        terms += index_pieces(run)
    return terms + name_terms(text)


def plain_text(text: str, language: str) -> tuple[str, bool]:
    """Whether `analyzer` sees the words of a text as they are, for which signs beyond ASCII are left out: so
    it is with most texts in English, and the index takes them apart itself, in another thread.
    """
    if language != DEFAULT_LANGUAGE:
        return text, False
    if text.isascii():
        return text, True
    for dash in DASHES:
        text = text.replace(dash, "-")
    without_signs = _SIGNS.sub(" ", text)
    return (without_signs, True) if without_signs.isascii() else (text, False)


_SIGNS = re.compile(
    "[\u00a0-\u00a9\u00ab\u00ac\u00ae-\u00b1\u00b4\u00b6\u00b7\u00bb\u00bf\u2014-\u2027\u2030-\u203b\u20ac]+"
)


def name_terms(text: str) -> list[str]:
    """The terms of the names in a text that its words are not."""
    return [term for name in identifiers(text) for term in _terms_of(name)]


@lru_cache(maxsize=50_000)
def _terms_of(name: Identifier) -> tuple[str, ...]:
    return (*name.wholes, *stem_humps(name.humps))


def stem_humps(humps: tuple[str, ...]) -> list[str]:
    """Terms of the parts of CamelCase, which is English mostly."""
    return analyzer().analyze(" ".join(humps)) if humps else []


def word_forms(text: str, language: str) -> list[str]:
    """The stems of the words of a text in normal form: with accents folded before, and where that leads to
    others, those with accents folded afterwards. So `educacion` finds `educación`, whose stem is `educ`.
    """
    folded = fold_marks(text)
    terms = _stems(language, ascii_only=False).analyze(folded)
    if language != DEFAULT_LANGUAGE and not text.isascii():
        known = set(terms)
        accented = fold_marks(" ".join(_accented_stems(language).analyze(text))).split()
        terms += [term for term in accented if term not in known]
    return terms


def content_stems(text: str) -> frozenset[str]:
    """The distinct stems of the words of a text without function words. Any text is fine."""
    words, runs = cut_runs(normal_form(clean(text)))
    stems = _content_stems().analyze(fold_marks(words))
    return frozenset(stems).union(*map(index_pieces, runs))


@cache
def words_of() -> tantivy.TextAnalyzer:
    """A text in normal form to its words, as they stand there."""
    return TextAnalyzerBuilder(_words()).filter(Filter.remove_long(_LONGEST_WORD)).build()


def _words() -> tantivy.Tokenizer:
    return Tokenizer.regex(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]*")


def _simple(*, ascii_only: bool) -> TextAnalyzerBuilder:
    """The two do the same to ASCII, the simple one in half the time."""
    words = TextAnalyzerBuilder(Tokenizer.simple() if ascii_only else _words())
    return words.filter(Filter.remove_long(_LONGEST_WORD)).filter(Filter.lowercase())


@cache
def _stems(language: str, *, ascii_only: bool) -> tantivy.TextAnalyzer:
    stemmer = Filter.stemmer(STEMMERS[language])
    words = _simple(ascii_only=ascii_only)
    return (words if ascii_only else words.filter(Filter.ascii_fold())).filter(stemmer).build()


@cache
def _accented_stems(language: str) -> tantivy.TextAnalyzer:
    stemmer = Filter.stemmer(STEMMERS[language])
    return _simple(ascii_only=False).filter(stemmer).filter(Filter.ascii_fold()).build()


@cache
def _content_stems() -> tantivy.TextAnalyzer:
    words = _simple(ascii_only=False).filter(Filter.ascii_fold())
    words = words.filter(Filter.custom_stopword(sorted(FUNCTION_WORDS)))
    return words.filter(Filter.stemmer(STEMMERS[DEFAULT_LANGUAGE])).build()
