"""Words are what stands between spaces."""

from __future__ import annotations

import json
import string
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stlib.sentence_transformer.modules.tokenizer.word import (
    ENGLISH_STOP_WORDS,
    WordTokenizer,
    read_tokenizer_config,
)
from stlib.util.lists import refuse_text

_CONFIG_NAME = "whitespacetokenizer_config.json"


class WhitespaceTokenizer(WordTokenizer):
    """Split at spaces and look each word up as it is, then without punctuation around it, then in lower case.

    Args:
        vocab: words in the order of their ids.
        stop_words: words that are left out.
        do_lower_case: lowercase the text first.
    """

    def __init__(
        self,
        vocab: Iterable[str] = (),
        stop_words: Iterable[str] = ENGLISH_STOP_WORDS,
        do_lower_case: bool = False,
    ) -> None:
        refuse_text(stop_words=stop_words)
        self.stop_words = set(stop_words)
        self.do_lower_case = do_lower_case
        self.set_vocab(vocab)

    def set_vocab(self, vocab: Iterable[str]) -> None:
        refuse_text(vocab=vocab)
        self.vocab = list(vocab)
        self.word2idx = {word: i for i, word in enumerate(self.vocab)}

    def get_vocab(self, *args: Any) -> list[str]:
        return self.vocab

    def tokenize(self, text: str, **kwargs: Any) -> list[int]:
        words = (text.lower() if self.do_lower_case else text).split()
        found = (self._look_up(word) for word in words)
        return [i for i in found if i is not None]

    def _look_up(self, word: str) -> int | None:
        bare = word.strip(string.punctuation)
        for form in (word, bare, bare.lower()):
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
        }
        (Path(output_path) / _CONFIG_NAME).write_text(json.dumps(config), encoding="utf-8")

    @staticmethod
    def load(input_path: str) -> WhitespaceTokenizer:
        return WhitespaceTokenizer(
            **read_tokenizer_config(WhitespaceTokenizer, Path(input_path) / _CONFIG_NAME)
        )
