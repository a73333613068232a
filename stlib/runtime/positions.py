"""How many tokens a transformer has positions for, by its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["text_positions"]

# RoBERTa and its kin number the tokens from behind the padding id, which takes those positions away.
_BEHIND_PADDING = frozenset(
    {
        "camembert",
        "data2vec-text",
        "esm",
        "ibert",
        "lilt",
        "longformer",
        "luke",
        "markuplm",
        "mpnet",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    }
)
_USUAL_PADDING = 1  # of all of them where the configuration does not tell
_FIXED_PADDING = frozenset({"mpnet"})  # counts from behind 1, whatever its padding id


def text_positions(config: Mapping[str, Any]) -> int | None:
    """Tokens of the longest text that a model reads, special ones included.

    Args:
        config: ``model_type``, ``max_position_embeddings`` and ``pad_token_id`` of a transformer.

    Returns:
        The number, which is below 1 if the configuration contradicts itself; None where it does not tell.
    """
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int) or isinstance(positions, bool) or positions < 1:
        return None
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in _BEHIND_PADDING:
        return positions
    return positions - _padding_id(config) - 1


def _padding_id(config: Mapping[str, Any]) -> int:
    given = config.get("pad_token_id")
    if config["model_type"] in _FIXED_PADDING or not isinstance(given, int) or isinstance(given, bool):
        return _USUAL_PADDING
    return given if given >= 0 else _USUAL_PADDING
