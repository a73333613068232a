"""Logits of a masked-language head, one for each token and word of the vocabulary, to one weight a word."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import torch
from torch import Tensor

from stlib.base.modules.module import DimensionNames, Module
from stlib.base.modules.packed_words import PackedLogits
from stlib.errors import InvalidOption
from stlib.util.older_names import tell_older_name

_STRATEGIES = ("max", "sum")
_ACTIVATIONS = ("relu", "log1p_relu")


class SpladePooling(DimensionNames, Module):
    """``token_embeddings [n, tokens, vocabulary]`` to ``sentence_embedding [n, vocabulary]``: the logits
    through ``log(1 + relu(x))``, then their largest (or their sum) over the tokens of a text.

    Args:
        pooling_strategy: ``"max"`` (SPLADE v2 and later) or ``"sum"`` (the first SPLADE).
        activation_function: ``"relu"``, or ``"log1p_relu"`` for a second logarithm, as inference-free models
            of OpenSearch have it.
        embedding_dimension: size of the vocabulary; None: learned from the first batch.
        chunk_size: tokens of each text pooled at a time: less memory, some more time. None or 0: all.

    ``word_embedding_dimension`` is the older name of ``embedding_dimension``.

    Raises:
        InvalidOption: an argument has no meaning.
    """

    SPLADE_POOLING_MODES: ClassVar[tuple[str, ...]] = _STRATEGIES
    SPLADE_ACTIVATION: ClassVar[tuple[str, ...]] = _ACTIVATIONS

    without_memory: ClassVar[bool] = True
    config_keys: ClassVar[list[str]] = ["pooling_strategy", "activation_function", "embedding_dimension"]
    config_key_renames: ClassVar[dict[str, str]] = {"word_embedding_dimension": "embedding_dimension"}

    def __init__(
        self,
        pooling_strategy: str = "max",
        activation_function: str = "relu",
        embedding_dimension: int | None = None,
        chunk_size: int | None = None,
        **older: Any,
    ) -> None:
        super().__init__()
        if "word_embedding_dimension" in older:
            tell_older_name("SpladePooling", "word_embedding_dimension", "embedding_dimension")
            embedding_dimension = older.pop("word_embedding_dimension")
        if older:
            raise InvalidOption(f"SpladePooling takes no {', '.join(older)}")
        _check(pooling_strategy, "pooling_strategy", _STRATEGIES)
        _check(activation_function, "activation_function", _ACTIVATIONS)
        self.pooling_strategy = pooling_strategy
        self.activation_function = activation_function
        self.embedding_dimension = embedding_dimension
        self.chunk_size = chunk_size

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        logits = features["token_embeddings"]
        if isinstance(logits, PackedLogits):
            del features["token_embeddings"]  # they are for the pooling alone
            maximal = self.pooling_strategy == "max"
            pooled = self.activate(logits.largest()) if maximal else logits.summed(self.activate)
        elif "cu_seq_lens_q" in features:
            pooled = self._pool_flat(logits.squeeze(0), features["cu_seq_lens_q"])
        elif torch.is_grad_enabled() or logits.device.type != "cpu":
            pooled = self._pool_padded(logits, features["attention_mask"])
        else:
            pooled = self._pool_texts(logits, features["attention_mask"])
        if self.embedding_dimension is None:
            self.embedding_dimension = pooled.shape[-1]
        features["sentence_embedding"] = pooled
        return features

    def activate(self, logits: Tensor) -> Tensor:
        """``log(1 + relu(x))``, twice for ``log1p_relu``. Never falls, so what is largest stays so."""
        values = torch.log1p(torch.relu(logits))
        return torch.log1p(values) if self.activation_function == "log1p_relu" else values

    def _pool_padded(self, logits: Tensor, mask: Tensor) -> Tensor:
        """``[n, vocabulary]`` of logits ``[n, tokens, vocabulary]``; padding counts as a logit of 0."""
        size = self._chunk(logits.shape[1])
        mask = mask.unsqueeze(-1).to(logits.dtype)
        pieces = zip(logits.split(size, dim=1), mask.split(size, dim=1), strict=True)
        if self.pooling_strategy == "sum":
            return sum_of(self.activate(piece * its_mask).sum(dim=1) for piece, its_mask in pieces)
        # The activation is applied to what is largest, a row a text rather than one a token.
        best: Tensor | None = None
        for piece, its_mask in pieces:
            largest = (piece * its_mask).max(dim=1).values
            best = largest if best is None else torch.maximum(best, largest)
        return self.activate(best) if best is not None else logits.sum(dim=1)

    def _pool_texts(self, logits: Tensor, mask: Tensor) -> Tensor:
        """The same, a text after the other: no copy of the logits is made, and padding is not looked at."""
        lengths = mask.sum(dim=1)
        at_end = torch.equal(mask.bool(), torch.arange(mask.shape[1]) < lengths.unsqueeze(1))
        pooled = logits.new_zeros(len(logits), logits.shape[2])
        for i, length in enumerate(lengths.tolist()):
            tokens = logits[i, :length] if at_end else logits[i][mask[i].bool()]
            if length and self.pooling_strategy == "max":
                pooled[i] = tokens.amax(dim=0)
            for piece in tokens.split(self._chunk(length)) if self.pooling_strategy == "sum" else ():
                pooled[i] += self.activate(piece).sum(dim=0)
        return self.activate(pooled) if self.pooling_strategy == "max" else pooled

    def _chunk(self, tokens: int) -> int:
        """Tokens to pool at a time, of so many."""
        return self.chunk_size if self.chunk_size and self.chunk_size > 0 else max(tokens, 1)

    def _pool_flat(self, logits: Tensor, bounds: Tensor) -> Tensor:
        """``[n, vocabulary]`` of logits ``[tokens, vocabulary]`` of texts end to end."""
        parts = [logits[start:end] for start, end in itertools.pairwise(bounds.tolist())]
        if self.pooling_strategy == "sum":
            return torch.stack([self.activate(part).sum(dim=0) for part in parts])
        return self.activate(torch.stack([part.amax(dim=0) for part in parts]))

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        self.save_config(output_path)

    def get_embedding_dimension(self) -> int | None:  # type: ignore[override]
        """Size of the vocabulary; None before the first batch, if nobody said it."""
        return self.embedding_dimension


def sum_of(tensors: Any) -> Tensor:
    """The sum of one tensor or more of one shape."""
    total, *rest = tensors
    for tensor in rest:
        total = total + tensor
    return total


def _check(value: Any, name: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidOption(f"{name} is {value!r}; use one of: {', '.join(allowed)}")
