"""What can go wrong with a service, and what it says went wrong there."""

from __future__ import annotations

from typing import Any

from app.facade.beneath import NotServed
from app.facade.caller import NotAllowed
from app.pictures import NoPicture
from indexing.errors import (
    AnotherIsLive,
    BadInput,
    CollectionExists,
    DiskFull,
    FilterError,
    GateNotPassed,
    IndexingError,
    LockedError,
    ModelMismatch,
    RerankingFailed,
    UnknownCollection,
    UntrustedModel,
)

__all__ = ["KeyRefused", "KeyWanted", "ServiceAway", "ServiceFailed", "error_from"]


class ServiceAway(IndexingError):
    """Nobody answers at the address, not in time, or only until the middle of an answer."""


class ServiceFailed(IndexingError):
    """Somebody answers, and not as a service of this version does."""


class KeyRefused(IndexingError):
    """The service wants another key."""


class KeyWanted(KeyRefused):
    """The service wants a key, and none was given."""


_KINDS: dict[str, type[IndexingError]] = {
    "another_is_live": AnotherIsLive,
    "not_allowed": NotAllowed,
    "not_served": NotServed,
    "no_picture": NoPicture,
    "bad_input": BadInput,
    "collection_exists": CollectionExists,
    "disk_full": DiskFull,
    "gate_not_passed": GateNotPassed,
    "locked_error": LockedError,
    "model_mismatch": ModelMismatch,
    "reranking_failed": RerankingFailed,
    "unknown_collection": UnknownCollection,
    "untrusted_model": UntrustedModel,
}
_LONGEST = 2_000  # characters of a message that somebody else wrote


def error_from(status: int, body: Any, address: str, *, key: bool = True) -> IndexingError:
    """What a service said with this status, as the error that it is about. `key`: whether one was sent."""
    told = body.get("error") if isinstance(body, dict) else None
    told = told if isinstance(told, dict) else {}
    kind, given = told.get("type"), told.get("message")
    message = given[:_LONGEST] if isinstance(given, str) else ""
    if status == 401 and not key:
        return KeyWanted(
            f"The service at {address} asks for a key. Whoever runs it makes one: `stlib keys make NAME`."
        )
    if status == 401:
        return KeyRefused(f"The service at {address} refuses this key: {message or 'it opens nothing'}.")
    if not message:
        return ServiceFailed(
            f"What answers at {address} is no service of this version (status {status}): look at the address,"
            " and whether page and service are of one version."
        )
    if kind == "filter_error":
        position = told.get("position")
        return FilterError(message, position if isinstance(position, int) else None)
    if isinstance(kind, str) and kind in _KINDS:
        return _KINDS[kind](message)
    if status in (400, 422):
        return BadInput(message)
    if status == 404:
        return ServiceFailed(
            f"The service at {address} does not know what this page asks for: they are of different versions."
        )
    return ServiceFailed(f"The service at {address} could not do this (status {status}): {message}")
