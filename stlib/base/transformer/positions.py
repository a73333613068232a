"""How many tokens a model can number, and a clear word where a batch has more."""

from __future__ import annotations

from typing import Any

from torch import nn

from stlib.errors import InvalidOption

# What tables of learnt (or computed) positions are called in the architectures of transformers.
_TABLES = ("position_embeddings", "embed_positions", "wpe")
_MOST_OFFSET = 8  # no table has its first position further behind its beginning


def positions_of(model: Any) -> int | None:
    """Tokens for which a model has a position; None if it needs no table of them, or does not show it.

    ``max_position_embeddings`` does not tell: models of relative positions take longer texts than it says.
    """
    kind = getattr(getattr(model, "config", None), "position_embedding_type", None) or "absolute"
    if not isinstance(model, nn.Module) or kind != "absolute":
        return None  # a table of rotary positions may be there without being read
    sizes = [
        table.num_embeddings - _first_position(table)
        for name, table in model.named_modules()
        if name.rpartition(".")[2] in _TABLES and isinstance(table, nn.Embedding)
    ]
    return min(sizes, default=None)


def _first_position(table: nn.Embedding) -> int:
    """RoBERTa's kin number positions from behind the padding, BART's and OPT's from 2."""
    return table.padding_idx + 1 if table.padding_idx is not None else int(getattr(table, "offset", 0))


def check_positions(model: Any, features: dict[str, Any], limit: Any) -> None:
    """Refuse a batch that is wider than the model has positions, which would end inside of the model.

    Args:
        model: of transformers.
        features: of the batch.
        limit: where its inputs were cut, for the message.

    Raises:
        InvalidOption: it is.
    """
    width = getattr(features.get("input_ids"), "shape", (0,))[-1]
    # Looked up only if the settings make it possible: that takes some time.
    stated = getattr(getattr(model, "config", None), "max_position_embeddings", None)
    if isinstance(stated, int) and width > stated - _MOST_OFFSET:
        found = positions_of(model)
        if found is not None and width > found:
            cut = f"after it was cut at max_seq_length={limit}" if limit else "and truncation is switched off"
            raise InvalidOption(
                f"an input has {width} tokens {cut}, but the model has positions for {found}; set "
                f"max_seq_length={found} or less (max_length, as CrossEncoder takes it), or None for as many "
                "as there are"
            )
