"""Inputs of a transformers module: tokenizer limits and normalisation."""

from __future__ import annotations

from typing import Any


def limit_to_positions(tokenizer: Any, config: Any) -> None:
    positions = getattr(config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0:
        tokenizer.model_max_length = min(tokenizer.model_max_length, positions)


def lowercase_first(tokenizer: Any) -> None:
    """Put a lowercasing step in front of a fast tokenizer's normalisation, unless it has one."""
    from tokenizers import normalizers

    backend = tokenizer.backend_tokenizer
    present: Any = backend.normalizer
    is_sequence = isinstance(present, normalizers.Sequence)
    steps: list[Any] = [*present] if is_sequence else [present] if present else []
    if not any(isinstance(step, normalizers.Lowercase) for step in steps):
        backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), *steps])
