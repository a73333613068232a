"""From token embeddings to one vector per input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from stlib.base.modules.module import DimensionNames, Module
from stlib.errors import InvalidOption, UnknownKeyword
from stlib.util.older_names import tell_older_name, warn_older_name

PoolingMode = Literal["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]

# Flags of earlier generations, in the order in which their results were concatenated.
_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


class Pooling(DimensionNames, Module):
    """Pool ``token_embeddings [n, tokens, d]`` into ``sentence_embedding [n, modes * d]``.

    Modes, over the attended tokens of each input, padded on either side:

    - ``cls``: the first token
    - ``lasttoken``: the last token
    - ``max``: the largest value per dimension
    - ``mean``: the average
    - ``mean_sqrt_len_tokens``: the sum divided by the square root of the number of tokens
    - ``weightedmean``: the average weighted by position 1, 2, 3, … (Muennighoff, "SGPT", arXiv:2202.08904)

    Texts that lie end to end without padding (``token_embeddings [1, all tokens, d]``, bounds in
    ``cu_seq_lens_q [n + 1]``) are pooled one by one.

    Args:
        embedding_dimension: ``d``.
        pooling_mode: one mode, or several whose results are concatenated in that order.
        include_prompt: False leaves the tokens of the prompt out, as INSTRUCTOR models need it.

    The older ``word_embedding_dimension`` and ``pooling_mode_*`` flags are understood.

    Raises:
        InvalidOption: a mode is unknown.
    """

    POOLING_MODES: ClassVar[tuple[str, ...]] = tuple(_FLAGS.values())

    without_memory: ClassVar[bool] = True
    ignores_unknown_keys: ClassVar[bool] = True
    older_config_keys: ClassVar[tuple[str, ...]] = ("word_embedding_dimension", *_FLAGS)
    config_keys: ClassVar[list[str]] = ["embedding_dimension", "pooling_mode", "include_prompt"]
    config_key_renames: ClassVar[dict[str, str]] = {"word_embedding_dimension": "embedding_dimension"}

    def __init__(
        self,
        embedding_dimension: int | None = None,
        pooling_mode: PoolingMode | Sequence[PoolingMode] | None = None,
        include_prompt: bool = True,
        **older: Any,
    ) -> None:
        super().__init__()
        if "word_embedding_dimension" in older:
            tell_older_name("Pooling", "word_embedding_dimension", "embedding_dimension")
            width = older.pop("word_embedding_dimension")
            embedding_dimension = width if embedding_dimension is None else embedding_dimension
        if not isinstance(embedding_dimension, int):
            raise InvalidOption(
                f"embedding_dimension is {embedding_dimension!r}; pass the width of the tokens"
            )
        if set(older) - set(_FLAGS):
            raise UnknownKeyword(f"Pooling has no keyword {sorted(set(older) - set(_FLAGS))}")
        modes = _modes(pooling_mode, older)
        if older:
            mode = repr(modes[0] if len(modes) == 1 else modes)
            warn_older_name(", ".join(older), f"pooling_mode={mode}", FutureWarning)
        self.embedding_dimension = embedding_dimension
        self.pooling_mode: str | tuple[str, ...] = modes[0] if len(modes) == 1 else modes
        self.include_prompt = include_prompt
        self.pooling_output_dimension = len(modes) * embedding_dimension

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes as a tuple, also when there is one only."""
        return (self.pooling_mode,) if isinstance(self.pooling_mode, str) else self.pooling_mode

    def get_embedding_dimension(self) -> int:
        """Size of the pooled vector."""
        return self.pooling_output_dimension

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        tokens: Tensor = features["token_embeddings"]
        mask = features.get("attention_mask")
        if "cu_seq_lens_q" in features:
            tokens, mask = _rows_of_texts(tokens, features["cu_seq_lens_q"])
        elif mask is None or mask.shape[-1] != tokens.shape[1]:
            mask = torch.ones(tokens.shape[:2], device=tokens.device, dtype=torch.int64)
        # Position 1 is the first attended token, before the prompt is left out.
        first = mask.int().argmax(dim=1, keepdim=True)
        positions = torch.arange(1, mask.shape[1] + 1, device=mask.device) - first
        if not self.include_prompt and "prompt_length" in features:
            mask = mask * (positions > _as_int(features["prompt_length"]))
        pooled = [_POOL[mode](tokens, mask, positions, features) for mode in self.modes]
        features["sentence_embedding"] = torch.cat(pooled, dim=-1)
        return features

    @classmethod
    def load_config(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """As in the base class; flags of earlier generations become the mode that they stand for."""
        config = super().load_config(*args, **kwargs)
        flags = {key: config.pop(key) for key in _FLAGS if key in config}
        if flags and config.get("pooling_mode") is None:
            modes = _modes(None, flags)
            config["pooling_mode"] = modes[0] if len(modes) == 1 else list(modes)
        return config

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        self.save_config(output_path)


def _modes(given: str | Sequence[str] | None, flags: dict[str, Any]) -> tuple[str, ...]:
    if given is None:
        modes = tuple(mode for flag, mode in _FLAGS.items() if flags.get(flag)) or ("mean",)
    else:
        modes = (given,) if isinstance(given, str) else tuple(given)
    for mode in modes:
        if mode not in Pooling.POOLING_MODES:
            allowed = ", ".join(Pooling.POOLING_MODES)
            raise InvalidOption(f"pooling mode {mode!r} is unknown; use one or several of: {allowed}")
    return modes


def _rows_of_texts(tokens: Tensor, bounds: Tensor) -> tuple[Tensor, Tensor]:
    """Texts laid end to end, ``[1, all tokens, d]``, as padded rows ``[n, longest, d]``, and their mask.

    ``bounds [n + 1]`` says where each text begins and the last one ends.
    """
    flat, starts = tokens.reshape(-1, tokens.shape[-1]), bounds[:-1].unsqueeze(1)
    lengths = bounds.diff().unsqueeze(1)
    places = torch.arange(int(lengths.max()) if len(lengths) else 0, device=tokens.device)
    mask = places < lengths
    rows = flat[torch.where(mask, starts + places, 0).long()] * mask.unsqueeze(-1)
    return rows, mask.to(torch.int64)


def _as_int(prompt_length: Any) -> int:
    # Earlier generations stored one equal value per input.
    return int(prompt_length.flatten()[0]) if isinstance(prompt_length, Tensor) else int(prompt_length)


def _sum_dtype(tokens: Tensor) -> torch.dtype:
    """Sums of half-precision values are formed in float32."""
    return torch.float32 if tokens.dtype in (torch.float16, torch.bfloat16) else tokens.dtype


def _take(tokens: Tensor, index: Tensor) -> Tensor:
    """Token ``index[i]`` of input i: ``[n, d]``."""
    return tokens[torch.arange(len(tokens), device=tokens.device), index]


def _cls(tokens: Tensor, mask: Tensor, positions: Tensor, features: dict[str, Any]) -> Tensor:
    if "cls_token_embeddings" in features:
        return features["cls_token_embeddings"]
    return _take(tokens, mask.int().argmax(dim=1))


def _last(tokens: Tensor, mask: Tensor, positions: Tensor, features: dict[str, Any]) -> Tensor:
    last = mask.shape[1] - 1 - mask.int().flip(1).argmax(dim=1)
    return _take(tokens, last) * mask.any(dim=1, keepdim=True).to(tokens.dtype)


def _max(tokens: Tensor, mask: Tensor, positions: Tensor, features: dict[str, Any]) -> Tensor:
    largest = tokens.masked_fill(mask.unsqueeze(-1) == 0, -torch.inf).amax(dim=1)
    return largest.masked_fill(~mask.any(dim=1, keepdim=True), 0.0)


def _sum_weighted(tokens: Tensor, weights: Tensor, features: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Weighted sum of the tokens ``[n, d]`` and sum of the weights ``[n, 1]``, the latter never zero."""
    dtype = _sum_dtype(tokens)
    weights = weights.to(dtype)
    total = (tokens * weights.unsqueeze(-1)).sum(dim=1, dtype=dtype)
    # A module that scaled the tokens says by how much in total.
    weight = (
        features["token_weights_sum"].to(dtype) if "token_weights_sum" in features else weights.sum(dim=1)
    )
    return total, weight.unsqueeze(-1).clamp(min=1e-9)


def _mean(tokens: Tensor, mask: Tensor, positions: Tensor, features: dict[str, Any]) -> Tensor:
    total, weight = _sum_weighted(tokens, mask, features)
    return (total / weight).to(tokens.dtype)


def _mean_sqrt(tokens: Tensor, mask: Tensor, positions: Tensor, features: dict[str, Any]) -> Tensor:
    total, weight = _sum_weighted(tokens, mask, features)
    return (total / weight.sqrt()).to(tokens.dtype)


def _weightedmean(tokens: Tensor, mask: Tensor, positions: Tensor, features: dict[str, Any]) -> Tensor:
    total, weight = _sum_weighted(tokens, mask * positions, features)
    return (total / weight).to(tokens.dtype)


_POOL = {
    "cls": _cls,
    "max": _max,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt,
    "weightedmean": _weightedmean,
    "lasttoken": _last,
}
