"""By which models a generation's passages have codes beside the one of their vector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from indexing.errors import BadInput
from indexing.names import ROLES

__all__ = ["BesideModel", "read_beside", "same_models", "write_beside"]

_MOST_DIMENSIONS = 1 << 24
_SHOWN = 200


@dataclass(frozen=True)
class BesideModel:
    """A model as a generation names it.

    Attributes:
        model: what loads it again: a bundled name, a path, or a name on the hub.
        fingerprint: of everything that decides what it gives.
        dimension: size of the vocabulary of weighted terms, or width of a token's vector.
        settings: how codes are made of what it gives (JSON values).
    """

    model: str
    fingerprint: str
    dimension: int
    settings: Mapping[str, Any] = field(default_factory=dict)


def write_beside(beside: Mapping[str, BesideModel]) -> dict[str, Any] | None:
    """As a generation's row holds it, in the order of roles; None for none."""
    return {role: dict(vars(beside[role])) for role in ROLES if role in beside} or None


def read_beside(stored: object) -> dict[str, BesideModel]:
    """What a generation's row says.

    Raises:
        BadInput: it says what no version of this package has written.
    """
    if stored is None:
        return {}
    if not isinstance(stored, dict) or set(stored) - set(ROLES):
        raise BadInput(
            f"models beside the vectors' one: {_shorten(stored)}; the roles are {', '.join(ROLES)}"
        )
    return {role: _read_model(role, stored[role]) for role in ROLES if role in stored}


def same_models(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Whether two generations have the same models beside the vectors' one. Where they lie does not count,
    nor settings: they follow from the model, but for rounding that differs between machines.
    """
    mine, theirs = (
        {role: (model.fingerprint, model.dimension) for role, model in read_beside(stored).items()}
        for stored in (one, other)
    )
    return mine == theirs


def _read_model(role: str, said: object) -> BesideModel:
    try:
        model = BesideModel(**(said if isinstance(said, dict) else {}))
    except TypeError:
        raise BadInput(f"{role} has no model, fingerprint and dimension: {_shorten(said)}") from None
    texts = (model.model, model.fingerprint)
    if not all(isinstance(text, str) and text for text in texts) or not isinstance(model.settings, dict):
        raise BadInput(f"{role} has no model, fingerprint and settings: {_shorten(said)}")
    if not isinstance(model.dimension, int) or not 1 <= model.dimension <= _MOST_DIMENSIONS:
        raise BadInput(f"{role} has {model.dimension!r} dimensions")
    return model


def _shorten(said: object) -> str:
    """As much as a message needs: settings may hold thousands of numbers."""
    text = repr(said)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
