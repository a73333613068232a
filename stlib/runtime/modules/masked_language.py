"""A small masked-language model and the pooling behind it: texts in, weights of words out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stlib.errors import ModelConfigError
from stlib.runtime.files import read_object
from stlib.runtime.modules.base import available_cores
from stlib.runtime.modules.bert import Bert, read_shape
from stlib.runtime.modules.tensors import Tensors
from stlib.runtime.modules.text_tokens import TextTokens, load_text_tokens
from stlib.runtime.modules.transformer import read_settings
from stlib.runtime.modules.vocabulary import PoolSettings, VocabularyHead
from stlib.runtime.side_by_side import run_side_by_side
from stlib.util.blas_threads import one_blas_thread

__all__ = ["MaskedLanguageModel", "read_pooling"]

Row = tuple[NDArray[np.int32], NDArray[np.float32]]
_TASK = "fill-mask"


class MaskedLanguageModel:
    """A BERT with its head, in numpy.

    Args:
        tokens: of the texts.
        bert: without the head.
        head: makes weights of words from its states.
        digest: of all weights.
    """

    def __init__(self, tokens: TextTokens, bert: Bert, head: VocabularyHead, digest: str) -> None:
        self.tokens = tokens
        self._bert = bert
        self._head = head
        self._digest = digest
        self.dimension = bert.shape.vocabulary

    @classmethod
    def load(cls, folder: Path, pool: PoolSettings) -> MaskedLanguageModel:
        """Read the settings, the tokenizer and the weights.

        Raises:
            UnsupportedModel: it is another architecture, or a setting needs the full library.
            MissingModelFile, ModelConfigError: a file is missing or wrong.
        """
        path = folder / "config.json"
        shape = read_shape(read_object(path), path)
        settings = read_settings(folder, task=_TASK)
        tokens = load_text_tokens(folder, settings.get("max_seq_length"), settings)
        tensors = Tensors(folder)
        bert = Bert(tensors, shape)
        return cls(tokens, bert, VocabularyHead(tensors, shape, bert.words, pool), tensors.digest())

    @property
    def live_words(self) -> int:
        """Words that some text may activate."""
        return len(self._head.live)

    def rows(self, texts: list[str], prompt: str) -> list[Row]:
        """Words (ascending) and weights of each text."""
        found: list[Row] = [(np.empty(0, np.int32), np.empty(0, np.float32))] * len(texts)
        batches = list(self.tokens.batches(texts, prompt))

        def run(batch: tuple[NDArray[np.intp], dict[str, Any]]) -> None:
            at, features = batch
            for row, made in zip(at.tolist(), self._run(features), strict=True):
                found[row] = made

        threads = min(available_cores(), max(len(batches), 1))
        with one_blas_thread() if threads > 1 else nullcontext():
            run_side_by_side(run, batches, threads)
        return found

    def _run(self, features: dict[str, Any]) -> Iterator[Row]:
        ids, mask = features["input_ids"], features["attention_mask"]
        return self._head(self._bert(ids, mask), mask)

    def signature(self) -> dict[str, Any]:
        return {
            "kind": "MaskedLanguageModel",
            "tokenizer": self.tokens.digest,
            "tokens": asdict(self.tokens.settings),
            "shape": asdict(self._bert.shape),
            "weights": self._digest,
            "pool": asdict(self._head.pool),
        }


def read_pooling(folder: Path, most: int | None) -> PoolSettings:
    """The settings of Sentence Transformers' ``SpladePooling`` in a folder.

    Raises:
        ModelConfigError: a setting has a value that there is not.
    """
    path = folder / "config.json"
    config = read_object(path)
    strategy = config.get("pooling_strategy", "max")
    activation = config.get("activation_function", "relu")
    if strategy not in ("max", "sum") or activation not in ("relu", "log1p_relu"):
        raise ModelConfigError(
            f"{path}: pooling_strategy is {strategy!r}, one of max and sum; activation_function is "
            f"{activation!r}, one of relu and log1p_relu"
        )
    return replace(PoolSettings(), strategy=strategy, twice=activation == "log1p_relu", most=most)
