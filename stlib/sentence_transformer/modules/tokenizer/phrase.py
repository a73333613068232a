"""Words and phrases, such as ``New_York``, by the tokenizer of NLTK."""

from __future__ import annotations

import json
import string
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stlib.errors import MissingDependency
from stlib.sentence_transformer.modules.tokenizer.word import (
    ENGLISH_STOP_WORDS,
    WordTokenizer,
    read_tokenizer_config,
)
from stlib.util.lists import refuse_text

_CONFIG_NAME = "phrasetokenizer_config.json"


class PhraseTokenizer(WordTokenizer):
    """Tokenise with NLTK and join neighbouring words that form a phrase of the vocabulary, longest phrases
    first.

    Args:
        vocab: words and phrases in the order of their ids.
        stop_words: words that are left out.
        do_lower_case: accepted for compatibility; words are looked up as they are, then in lower case.
        ngram_separator: stands between the words of a phrase; None for no phrases.
        max_ngram_length: words of a phrase at most.

    Raises:
        MissingDependency: NLTK is not installed.
    """

    def __init__(
        self,
        vocab: Iterable[str] = (),
        stop_words: Iterable[str] = ENGLISH_STOP_WORDS,
        do_lower_case: bool = False,
        ngram_separator: str = "_",
        max_ngram_length: int = 5,
    ) -> None:
        try:
            from nltk import word_tokenize
        except ImportError as error:
            raise MissingDependency("PhraseTokenizer needs nltk; run: pip install nltk") from error
        self._split = word_tokenize
        refuse_text(stop_words=stop_words)
        self.stop_words = set(stop_words)
        self.do_lower_case = do_lower_case
        self.ngram_separator = ngram_separator
        self.max_ngram_length = max_ngram_length
        self.set_vocab(vocab)

    def set_vocab(self, vocab: Iterable[str]) -> None:
        refuse_text(vocab=vocab)
        self.vocab = list(vocab)
        self.word2idx = {word: i for i, word in enumerate(self.vocab)}
        phrases = (word for word in self.vocab if self._words_of(word) > 1)
        self.ngram_lookup = set(phrases)
        self.ngram_lengths = {self._words_of(phrase) for phrase in self.ngram_lookup}

    def get_vocab(self, *args: Any) -> list[str]:
        return self.vocab

    def tokenize(self, text: str, **kwargs: Any) -> list[int]:
        tokens = self._split(text, preserve_line=True)
        for length in sorted(self.ngram_lengths, reverse=True):
            tokens = self._join(tokens, length)
        found = (self._look_up(token) for token in tokens)
        return [i for i in found if i is not None]

    def _words_of(self, word: str) -> int:
        """Words of a phrase; 1 for what is none: too long, or with an empty word in it."""
        if not self.ngram_separator:
            return 1
        words = word.count(self.ngram_separator) + 1
        return 1 if self.ngram_separator * 2 in word or words > self.max_ngram_length else words

    def _join(self, tokens: list[str], length: int) -> list[str]:
        result, i = [], 0
        while i < len(tokens):
            phrase = self.ngram_separator.join(tokens[i : i + length])
            known = next((p for p in (phrase, phrase.lower()) if p in self.ngram_lookup), None)
            if known is not None and i + length <= len(tokens):
                result.append(known)
                i += length
            else:
                result.append(tokens[i])
                i += 1
        return result

    def _look_up(self, token: str) -> int | None:
        for form in (token, token.lower(), token.lower().strip(string.punctuation)):
            if form in self.stop_words:
                return None
            if form and form in self.word2idx:
                return self.word2idx[form]
        return None

    def save(self, output_path: str) -> None:
        config = {
            "vocab": self.vocab,
            "stop_words": sorted(self.stop_words),
            "do_lower_case": self.do_lower_case,
            "ngram_separator": self.ngram_separator,
            "max_ngram_length": self.max_ngram_length,
        }
        (Path(output_path) / _CONFIG_NAME).write_text(json.dumps(config), encoding="utf-8")

    @staticmethod
    def load(input_path: str) -> PhraseTokenizer:
        config = read_tokenizer_config(PhraseTokenizer, Path(input_path) / _CONFIG_NAME)
        return PhraseTokenizer(**config)
