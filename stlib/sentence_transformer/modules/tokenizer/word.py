"""The contract of word tokenizers, and a wrapper that gives it to a transformers tokenizer."""

from __future__ import annotations

import inspect
import string
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stlib.base.modules.module import missing_file, read_json_object
from stlib.errors import ModelConfigError

# Function words of English, which say little about what a text is about, and punctuation.
ENGLISH_STOP_WORDS: tuple[str, ...] = (
    *string.punctuation,
    *(
        "a about above across after again against all almost also although always am among an and "
        "another any anybody anyone anything are around as at be because been before being below "
        "between both but by can cannot could did do does doing done down during each either else "
        "ever every everyone everything few for from further had has have having he her here hers "
        "herself him himself his how however i if in into is it its itself just least less many may "
        "me might more most much must my myself neither never no nobody none nor not nothing now of "
        "off often on once one only onto or other others our ours ourselves out over own perhaps "
        "quite rather really same several shall she should since so some somebody someone something "
        "sometimes still such than that the their theirs them themselves then there therefore these "
        "they this those though through thus to too toward towards under unless until up upon us very "
        "was we well were what whatever when whenever where wherever whether which while who whoever "
        "whole whom whose why will with within without would yet you your yours yourself yourselves "
    ).split(),
)


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
        from stlib.base.modules.transformer_files import load_tokenizer

        return TransformersTokenizerWrapper(load_tokenizer(Path(input_path), {}))
