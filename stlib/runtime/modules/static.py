"""Texts as the mean of fixed token vectors.

The vector of a text is the mean of the vectors of its tokens (no special tokens), as in Sentence
Transformers' ``StaticEmbedding``; a text without tokens gets the zero vector.

A weight may be stored as float32 or float16 ``embedding.weight``, or as int8 ``embedding.weight`` with a
float32 ``embedding.scale`` that broadcasts against it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from stlib.errors import ModelConfigError
from stlib.runtime.files import read_tensors
from stlib.runtime.modules.base import SENTENCE_EMBEDDING, Features, Rows, array_digest
from stlib.runtime.words import TokenReader
from stlib.util.forks import cached_property
from stlib.util.panics import NamedPanics
from stlib.util.plain_files import read_plain

# Tokens whose rows are gathered at a time: 2048 rows of 256 float32 are 2 MiB, which stays in a core's
# cache and bounds the memory whatever the length of the texts.
_TOKENS_PER_BLOCK = 2048

# From so many texts at a time it pays to hold the token vectors as float32.
_BULK_TEXTS = 512


class StaticEmbedding:
    """A table of token vectors and the tokenizer that names its rows.

    Args:
        tokenizer: ready to use; never pads.
        weight: ``[V, d]``, float32, float16 or int8 codes.
        scale: ``None``, or float32 of shape ``[V, 1]``, ``[1, d]`` or ``[1, 1]``: a row is
            ``weight[i] * scale`` after broadcasting.
        tokenizer_digest: SHA-256 of ``tokenizer.json``.
    """

    max_seq_length = None

    def __init__(
        self,
        tokenizer: Tokenizer,
        weight: NDArray[Any],
        scale: NDArray[np.float32] | None,
        tokenizer_digest: str,
    ) -> None:
        self.weight = weight
        self.scale = scale
        self.tokenizer_digest = tokenizer_digest
        self._tokens = TokenReader(tokenizer)
        self._bulk = False  # set once many texts come at a time; changes speed and memory, not vectors

    @classmethod
    def load(cls, folder: Path) -> StaticEmbedding:
        """Read ``tokenizer.json`` and ``model.safetensors``.

        Raises:
            MissingModelFile: a file is missing.
            ModelConfigError: a file is unreadable, or tokenizer and weight do not belong together.
        """
        tokenizer, digest = read_tokenizer(folder / "tokenizer.json")
        tokenizer.no_padding()  # padding tokens would enter the mean
        weight, scale = _read_weight(folder)
        if tokenizer.get_vocab_size() > len(weight):
            raise ModelConfigError(
                f"{folder}: tokenizer.json has {tokenizer.get_vocab_size()} tokens but "
                f"model.safetensors only {len(weight)} rows; the two files are not from the same model"
            )
        return cls(tokenizer, weight, scale, digest)

    @property
    def dimension(self) -> int:
        return int(self.weight.shape[1])

    def token_reader(self, task: str | None) -> TokenReader:
        return self._tokens

    def batches(self, texts: list[str], prompt: str, task: str | None) -> Iterator[tuple[Rows, Features]]:
        """All texts at once: ids end to end, and the number of each text's tokens."""
        self._bulk = self._bulk or len(texts) >= _BULK_TEXTS
        flat, lengths = self._tokens.ids([prompt + text for text in texts] if prompt else texts)
        yield slice(None), {"input_ids": flat, "lengths": lengths}

    def forward(self, features: Features) -> Features:
        lengths = features["lengths"]
        sums = self._segment_sums(features["input_ids"], lengths)
        features[SENTENCE_EMBEDDING] = sums / np.maximum(lengths, 1).astype(np.float32)[:, None]
        return features

    def signature(self) -> dict[str, Any]:
        return {
            "kind": "StaticEmbedding",
            "tokenizer": self.tokenizer_digest,
            "table": array_digest(self.weight, self.scale),
        }

    def __repr__(self) -> str:
        return f"StaticEmbedding({len(self.weight)}, {self.dimension})"

    def _segment_sums(self, tokens: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """Sum of the token vectors of each text, ``[len(lengths), d]``; ``tokens`` are laid end to end.

        Blocks begin where texts do, so that a text's neighbours do not change how its sum is rounded.
        """
        sums = np.zeros((len(lengths), self.dimension), dtype=np.float32)
        ends = np.cumsum(lengths)
        first = 0
        while first < len(lengths):
            begin = ends[first] - lengths[first]
            after = int(np.searchsorted(ends, begin + _TOKENS_PER_BLOCK, "right"))
            if after == first:  # a long text on its own
                for start in range(begin, ends[first], _TOKENS_PER_BLOCK):
                    sums[first] += self.rows(tokens[start : min(start + _TOKENS_PER_BLOCK, ends[first])]).sum(
                        axis=0
                    )
                first += 1
                continue
            filled = np.arange(first, after)[lengths[first:after] > 0]
            if len(filled):
                rows = self.rows(tokens[begin : ends[after - 1]])
                sums[filled] = np.add.reduceat(rows, ends[filled] - lengths[filled] - begin, axis=0)
            first = after
        return sums

    @cached_property
    def _float_rows(self) -> NDArray[np.float32]:
        """The whole table as float32: four times the memory of int8, a third of the time per token."""
        table = self.weight.astype(np.float32)
        return table if self.scale is None else table * self.scale

    def rows(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors of tokens, float32 ``[len(tokens), d]``.

        Raises:
            ModelConfigError: the tokenizer gives numbers that the table has no row for.
        """
        try:
            return self._rows(tokens)
        except IndexError as error:
            raise ModelConfigError(
                f"tokenizer.json gives the token {tokens.max():,}, and model.safetensors has rows up to "
                f"{len(self.weight) - 1:,}; the two files are not from the same model, get it again"
            ) from error

    def _rows(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        if self._bulk:
            return np.take(self._float_rows, tokens, axis=0)
        rows = self.weight[tokens].astype(np.float32, copy=False)
        scale = self.scale
        if scale is not None:
            rows *= scale[tokens] if len(scale) > 1 else scale
        return rows


def read_tokenizer(path: Path) -> tuple[Tokenizer, str]:
    """A tokenizer and the SHA-256 of its file.

    Raises:
        MissingModelFile, ModelConfigError: there is no such file, or it is no tokenizer.
    """
    content = read_plain(path)
    with NamedPanics(path, "reading it"):
        try:
            tokenizer = Tokenizer.from_buffer(content)
        except ValueError as error:
            raise ModelConfigError(f"{path}: not a tokenizer of the tokenizers library ({error})") from error
    return tokenizer, hashlib.sha256(content).hexdigest()


def _read_weight(folder: Path) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
    path = folder / "model.safetensors"
    tensors = read_tensors(folder)
    weight = tensors.get("embedding.weight")
    if weight is None or weight.ndim != 2:
        raise ModelConfigError(
            f"{path}: expected a matrix 'embedding.weight', found the tensors {sorted(tensors)}"
        )
    scale = tensors.get("embedding.scale")
    if weight.dtype == np.int8 and scale is not None:
        return weight, _broadcastable_scale(scale, weight, path)
    if weight.dtype in (np.float32, np.float16) and scale is None:
        return weight, None
    raise ModelConfigError(
        f"{path}: 'embedding.weight' is {weight.dtype} {'with' if scale is not None else 'without'} "
        "'embedding.scale'; allowed are float32 or float16 without it, or int8 with it"
    )


def _broadcastable_scale(scale: NDArray[Any], weight: NDArray[Any], path: Path) -> NDArray[np.float32]:
    rows, columns = weight.shape
    if scale.ndim == 1 and scale.size in (rows, columns) and rows != columns:
        scale = scale[:, None] if scale.size == rows else scale[None, :]
    elif scale.size == 1:
        scale = scale.reshape(1, 1)
    if scale.ndim != 2 or scale.shape not in ((rows, 1), (1, columns), (1, 1)):
        raise ModelConfigError(
            f"{path}: 'embedding.scale' has the shape {list(scale.shape)}; allowed for a weight of "
            f"{[rows, columns]} are [{rows}, 1], [1, {columns}] and [1, 1]"
        )
    return np.ascontiguousarray(scale, dtype=np.float32)
