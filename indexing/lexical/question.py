"""How a question is taken apart: its words, each in the forms that the documents' languages give it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from indexing.languages import COMMON_WORDS, language_of
from indexing.lexical.analysis import (
    DEFAULT_LANGUAGE,
    FUNCTION_WORDS,
    clean,
    stem_humps,
    word_forms,
    words_of,
)
from indexing.lexical.bm25 import QueryWord
from indexing.lexical.folding import fold_marks
from indexing.lexical.identifiers import Identifier, cut_identifiers
from indexing.lexical.runs import cut_runs, question_pieces
from indexing.normal_forms import normal_form

__all__ = ["FUNCTION_WORD_WEIGHT", "MAX_QUERY_WORDS", "PARTS_WEIGHT", "WHOLE_WEIGHT", "query_words"]

FUNCTION_WORD_WEIGHT = 0.1
"""By NDCG@10 on cranfield's train judgments: 0.388, where function words that weigh 1 gave 0.378."""

WHOLE_WEIGHT = 1.5
"""Of a name like `AB-1234/7` as a whole; its parts share `PARTS_WEIGHT`. A word that stands ever so often
adds 2.2 times what it adds standing once, so that parts alone never outweigh the whole in texts of equal
length. On cranfield and the train questions of the sample corpus, weights of 1 to 2 do alike.
"""
PARTS_WEIGHT = 0.6

MAX_QUERY_WORDS = 256
"""Distinct words of a question that are searched; of longer texts the first ones, content words first."""

_MOST_NAMES = 64  # of longer texts the first ones; the others are words as all


def query_words(text: str, languages: Sequence[str] = ()) -> list[QueryWord]:
    """The distinct words of a question, at most `MAX_QUERY_WORDS`: names like part numbers first, then words,
    then the parts of the names, then function words.

    `languages`: those with a stemmer that documents are in, beside the default one. Any text is fine.
    """
    rest, names = cut_identifiers(clean(text), _MOST_NAMES)
    function_words = _function_words(text, languages)
    words = _Words([DEFAULT_LANGUAGE, *(code for code in languages if code != DEFAULT_LANGUAGE)])
    parts = [words.add_name(name) for name in names]
    weak = words.add_text(normal_form(rest), function_words)
    for some in parts:
        for part in some:
            words.add(part, PARTS_WEIGHT / len(some))
    for word in weak:
        words.add_word(word, FUNCTION_WORD_WEIGHT)
    return words.found()


def _function_words(text: str, languages: Sequence[str]) -> frozenset[str]:
    """English ones always, as for a short question the language is not sure, and those of its own."""
    language = language_of(text)
    if language == DEFAULT_LANGUAGE or language not in languages:
        return FUNCTION_WORDS
    return FUNCTION_WORDS | COMMON_WORDS.get(language, frozenset())


class _Words:
    """Words with their weights, of which those that share a form are one."""

    def __init__(self, languages: Sequence[str]) -> None:
        self._languages = languages
        self._forms: list[list[str]] = []
        self._weights: list[float] = []
        self._place: dict[str, int] = {}  # of a form

    def found(self) -> list[QueryWord]:
        words = zip(self._forms, self._weights, strict=True)
        return [QueryWord(tuple(forms), weight) for forms, weight in words][:MAX_QUERY_WORDS]

    def add(self, forms: Iterable[str], weight: float) -> None:
        forms = list(forms)
        known = [self._place[form] for form in forms if form in self._place]
        if not forms or (not known and len(self._forms) >= MAX_QUERY_WORDS):
            return
        if not known:
            self._forms.append([])
            self._weights.append(weight)
        place = known[0] if known else len(self._forms) - 1
        self._weights[place] = max(self._weights[place], weight)
        for form in forms:
            if form not in self._place:
                self._place[form] = place
                self._forms[place].append(form)

    def add_name(self, name: Identifier) -> list[list[str]]:
        """The name as a whole; returns the forms of each of its parts."""
        words = [self._forms_of(word) for word in words_of().analyze(normal_form(name.name))]
        humps = [[stem] for stem in stem_humps(name.humps)]
        if not name.wholes:
            self.add(words[0], WHOLE_WEIGHT)
            return humps
        self.add(name.wholes[:1], WHOLE_WEIGHT)
        return [*([inner] for inner in name.wholes[1:]), *words, *humps]

    def add_text(self, text: str, function_words: frozenset[str]) -> list[str]:
        """Every word of a text in normal form, but for the function words, which are returned."""
        text, runs = cut_runs(text)
        weak = []
        for word in dict.fromkeys(words_of().analyze(text)):
            if function_words.isdisjoint((word, fold_marks(word))):
                self.add_word(word, 1.0)
            else:
                weak.append(word)
        for run in runs:
            for piece in question_pieces(run):
                self.add([piece], 1.0)
        return weak

    def add_word(self, word: str, weight: float) -> None:
        if len(self._forms) < MAX_QUERY_WORDS:
            self.add(self._forms_of(word), weight)

    def _forms_of(self, word: str) -> list[str]:
        return list(dict.fromkeys(form for code in self._languages for form in word_forms(word, code)))
