"""What evaluators of late-interaction models share."""

from __future__ import annotations

from typing import Any

from stlib.errors import InvalidOption


def refuse_truncation(truncate_dim: Any) -> None:
    """Refuse to shorten token vectors.

    Raises:
        InvalidOption: ``truncate_dim`` is set.
    """
    if truncate_dim is not None:
        raise InvalidOption(
            f"truncate_dim is {truncate_dim}; the vectors of a MultiVectorEncoder's tokens are not trained "
            "to be shortened: leave it out"
        )


def encode_tokens(model: Any, inputs: Any, role: str | None, **options: Any) -> Any:
    """Token vectors by ``encode``, or by ``encode_{role}`` (``"query"``, ``"document"``)."""
    options.pop("truncate_dim", None)
    return getattr(model, "encode" if role is None else f"encode_{role}")(inputs, **options)
