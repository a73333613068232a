"""A weight for each word of a vocabulary: what a text is to a sparse model that runs no network for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stlib.errors import ModelConfigError, UnsupportedModel
from stlib.runtime.files import inside, read_object
from stlib.runtime.modules.base import array_digest
from stlib.runtime.modules.tensors import Tensors
from stlib.runtime.modules.text_tokens import TextTokens, load_text_tokens

__all__ = ["TermTable"]

# The words of a text are those that it has, without what a tokenizer puts around it.
_PLAIN = {"processing_kwargs": {"text": {"add_special_tokens": False}}}
_LARGEST = float(np.finfo(np.float32).max)


class TermTable:
    """Sentence Transformers' ``SparseStaticEmbedding``: each word that a text has, with its weight.

    Args:
        tokens: of the texts.
        weights: float32 ``[vocabulary]``, none below 0.
        most: words kept of a text at most, those of the largest weights; None keeps all above 0.
    """

    def __init__(self, tokens: TextTokens, weights: NDArray[np.float32], most: int | None = None) -> None:
        self.tokens = tokens
        self._most = most
        self._weights = weights
        self.dimension = len(weights)

    @classmethod
    def load(cls, folder: Path, most: int | None = None) -> TermTable:
        """Read the tokenizer and the weights: ``model.safetensors``, or a JSON object of words.

        Raises:
            MissingModelFile, ModelConfigError: a file is missing or wrong.
            UnsupportedModel: a weight is below 0, which no inverted index takes.
        """
        tokens = load_text_tokens(folder, None, _PLAIN)
        named = read_object(folder / "config.json").get("path")
        if isinstance(named, str) and named.endswith(".json"):
            weights = _from_words(inside(folder, named, folder / "config.json"), tokens)
        else:
            weights = Tensors(folder).take("weight", shape=(None,))
        if (weights < 0).any():
            raise UnsupportedModel(
                f"{folder}: a word weighs {weights.min():g}; without torch weights of 0 and more run; "
                "use stlib.SparseEncoder"
            )
        return cls(tokens, weights, most)

    def rows(self, texts: list[str], prompt: str) -> list[tuple[NDArray[np.int32], NDArray[np.float32]]]:
        """Words (ascending) and weights of each text; each word once, however often it stands there."""
        flat, lengths = self.tokens.reader.ids([prompt + text for text in texts] if prompt else texts)
        if len(flat) and flat.max() >= self.dimension:
            raise ModelConfigError(
                f"the tokenizer gives the token {flat.max():,}, and there are {self.dimension:,} weights; "
                "the files are not from one model: get it again"
            )
        found = []
        for part in np.split(flat, np.cumsum(lengths)[:-1]):
            words = np.unique(self.tokens.shorten(part))
            words = words[self._weights[words] > 0]
            if self._most is not None and len(words) > self._most:
                words = np.sort(words[np.argsort(-self._weights[words], kind="stable")[: self._most]])
            found.append((words.astype(np.int32), self._weights[words]))
        return found

    def signature(self) -> dict[str, Any]:
        return {
            "kind": "TermTable",
            "tokenizer": self.tokens.digest,
            "length": self.tokens.settings.max_length,
            "weights": array_digest(self._weights),
            "most": self._most,
        }


def _from_words(path: Path, tokens: TextTokens) -> NDArray[np.float32]:
    weights = np.zeros(tokens.reader.size, np.float32)
    for word, weight in read_object(path).items():
        at = tokens.reader.id_of(word)
        is_number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        if at is None or not is_number or not abs(weight) <= _LARGEST:
            raise ModelConfigError(
                f"{path}: expected a finite number for each word of the tokenizer, {word!r} has {weight!r}"
            )
        weights[at] = weight
    return weights
