"""The contract of word tokenizers, and a wrapper that gives it to a transformers tokenizer."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stlib.base.folder import missing_file, read_json_object
from stlib.errors import ModelConfigError
from stlib.sentence_transformer.modules.tokenizer.stop_words import ENGLISH_STOP_WORDS

__all__ = ["ENGLISH_STOP_WORDS", "TransformersTokenizerWrapper", "WordTokenizer", "read_tokenizer_config"]


class WordTokenizer(ABC):
    """Splits a text into ids of words of a vocabulary; words that are not in it are left out."""

    @abstractmethod
    def set_vocab(self, vocab: Iterable[str]) -> None:
        """Take words, whose ids are their positions."""

    @abstractmethod
    def get_vocab(self, *args: Any) -> Any:
        """The words."""

    @abstractmethod
    def tokenize(self, text: str, **kwargs: Any) -> list[int]:
        """Ids of the words of a text, in its order."""

    @abstractmethod
    def save(self, output_path: str) -> None:
        """Write the tokenizer to a folder."""

    @staticmethod
    @abstractmethod
    def load(input_path: str) -> WordTokenizer:
        """Read the tokenizer from a folder."""


def read_tokenizer_config(cls: type, path: Path) -> dict[str, Any]:
    """The arguments that a word tokenizer was saved with.

    Raises:
        MissingModelFile: there is no such file.
        ModelConfigError: it is no JSON object, or holds keys that the tokenizer does not take.
    """
    if not path.is_file():
        raise missing_file(str(path.parent), "", path.name)
    config = read_json_object(path)
    known = set(inspect.signature(cls).parameters)
    if set(config) - known:
        raise ModelConfigError(
            f"{path} does not describe a {cls.__name__}: unknown {sorted(set(config) - known)}, "
            f"known {sorted(known)}"
        )
    return config


class TransformersTokenizerWrapper(WordTokenizer):
    """A transformers tokenizer as a word tokenizer; its vocabulary is fixed."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def set_vocab(self, vocab: Iterable[str]) -> None:
        """Does nothing."""

    def get_vocab(self, *args: Any) -> Any:
        return self.tokenizer.get_vocab()

    def tokenize(self, text: str, **kwargs: Any) -> list[int]:
        return self.tokenizer(text)["input_ids"]

    def save(self, output_path: str) -> None:
        self.tokenizer.save_pretrained(output_path)

    @staticmethod
    def load(input_path: str) -> TransformersTokenizerWrapper:
        from stlib.base.transformer.files import load_tokenizer

        return TransformersTokenizerWrapper(load_tokenizer(Path(input_path), {}))
