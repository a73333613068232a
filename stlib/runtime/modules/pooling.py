"""From token embeddings to one vector per text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stlib.errors import ModelConfigError
from stlib.runtime.files import missing, read_object
from stlib.runtime.modules.base import SENTENCE_EMBEDDING, TOKEN_EMBEDDINGS, Features
from stlib.util.config_keys import drop_unknown_keys

Tokens = NDArray[np.float32]
Mask = NDArray[np.int64]

# Flags of earlier generations, in the order in which their results were concatenated.
_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}

_KEYS = ("embedding_dimension", "pooling_mode", "include_prompt", "word_embedding_dimension", *_FLAGS)


@dataclass(frozen=True)
class Pooling:
    """Pool ``token_embeddings [n, tokens, d]`` into ``sentence_embedding [n, modes * d]``.

    Attributes:
        embedding_dimension: ``d``.
        modes: ``cls`` and ``lasttoken`` take one token, ``max`` the largest value per dimension, ``mean`` the
            average, ``mean_sqrt_len_tokens`` the sum over the square root of the number of tokens,
            ``weightedmean`` the average weighted by position 1, 2, 3, … (Muennighoff, "SGPT",
            arXiv:2202.08904); always of attended tokens, padded on either side. Several are concatenated.
        include_prompt: False leaves the tokens of the prompt out, as INSTRUCTOR models need it.
    """

    embedding_dimension: int
    modes: tuple[str, ...] = ("mean",)
    include_prompt: bool = True

    @classmethod
    def load(cls, folder: Path) -> Pooling:
        """Read ``config.json`` of any generation.

        Raises:
            MissingModelFile: there is none.
            ModelConfigError: it names an unknown mode or no dimension.
        """
        path = folder / "config.json"
        config = read_object(path)
        if not config:
            raise missing(path)
        config = drop_unknown_keys(config, _KEYS, str(path))
        width = config.get("embedding_dimension", config.get("word_embedding_dimension"))
        if not isinstance(width, int):
            raise ModelConfigError(f"{path}: embedding_dimension is {width!r}; it must be a number")
        return cls(width, _modes(config, path), bool(config.get("include_prompt", True)))

    @property
    def dimension(self) -> int:
        return len(self.modes) * self.embedding_dimension

    def forward(self, features: Features) -> Features:
        tokens: Tokens = features[TOKEN_EMBEDDINGS]
        mask: Mask = features["attention_mask"]
        # Position 1 is the first attended token, before the prompt is left out.
        first = mask.argmax(axis=1)[:, None]
        positions = np.arange(1, mask.shape[1] + 1) - first
        if not self.include_prompt and "prompt_length" in features:
            mask = mask * (positions > features["prompt_length"])
        pooled = [_POOL[mode](tokens, mask, positions) for mode in self.modes]
        vectors = pooled[0] if len(pooled) == 1 else np.concatenate(pooled, axis=1)
        empty = mask.max(axis=1) == 0
        if empty.any():
            vectors[empty] = _vectors_of_nothing(self.modes, tokens, empty)
        features[SENTENCE_EMBEDDING] = vectors
        return features

    def signature(self) -> dict[str, Any]:
        return {"kind": "Pooling", **asdict(self)}


def _modes(config: dict[str, Any], path: Path) -> tuple[str, ...]:
    given = config.get("pooling_mode")
    if given is None:
        return tuple(mode for flag, mode in _FLAGS.items() if config.get(flag)) or ("mean",)
    modes = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, list) else (given,)
    unknown = [mode for mode in modes if mode not in _FLAGS.values()]
    if unknown or not modes:
        raise ModelConfigError(
            f"{path}: the pooling mode {given!r} is unknown; allowed are: {', '.join(_FLAGS.values())}"
        )
    return modes


def _vectors_of_nothing(modes: tuple[str, ...], tokens: Tokens, empty: NDArray[np.bool_]) -> Tokens:
    """What each mode gives when no token is attended: the first slot for cls, zeros for all others."""
    nothing = np.zeros_like(tokens[empty, 0])
    return np.concatenate([tokens[empty, 0] if mode == "cls" else nothing for mode in modes], axis=1)


def _cls(tokens: Tokens, mask: Mask, positions: Mask) -> Tokens:
    return tokens[np.arange(len(tokens)), mask.argmax(axis=1)]


def _last(tokens: Tokens, mask: Mask, positions: Mask) -> Tokens:
    return tokens[np.arange(len(tokens)), mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)]


def _max(tokens: Tokens, mask: Mask, positions: Mask) -> Tokens:
    return np.where(mask[:, :, None] != 0, tokens, np.float32(-np.inf)).max(axis=1)


def _sums(tokens: Tokens, weights: Mask) -> tuple[Tokens, Tokens]:
    """Weighted sum of the tokens ``[n, d]`` and sum of the weights ``[n, 1]``, the latter never zero."""
    share = weights.astype(np.float32)
    totals = np.matmul(share[:, None, :], tokens)[:, 0]
    return totals, np.maximum(share.sum(axis=1, keepdims=True), np.float32(1e-9))


def _mean(tokens: Tokens, mask: Mask, positions: Mask) -> Tokens:
    total, weight = _sums(tokens, mask)
    return total / weight


def _mean_sqrt(tokens: Tokens, mask: Mask, positions: Mask) -> Tokens:
    total, weight = _sums(tokens, mask)
    return (total / np.sqrt(weight)).astype(np.float32, copy=False)


def _weightedmean(tokens: Tokens, mask: Mask, positions: Mask) -> Tokens:
    total, weight = _sums(tokens, mask * positions)
    return total / weight


_POOL: dict[str, Callable[[Tokens, Mask, Mask], Tokens]] = {
    "cls": _cls,
    "max": _max,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt,
    "weightedmean": _weightedmean,
    "lasttoken": _last,
}
