"""What a key is, and what its scopes allow."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from app.facade.caller import ALL_RIGHTS

__all__ = ["RIGHTS_OF_SCOPES", "SCOPES", "Key"]

RIGHTS_OF_SCOPES: dict[str, frozenset[str]] = {
    "read": frozenset({"search"}),
    "write": frozenset({"search", "judge", "write"}),
    "admin": ALL_RIGHTS,
}
SCOPES = tuple(RIGHTS_OF_SCOPES)


@dataclass(frozen=True, kw_only=True)
class Key:
    """One row of the table. Times are seconds since 1970.

    Attributes:
        id: stands in the key itself and in logs; it is no secret.
        name: whose it is, as histories show it.
        scope: one of `SCOPES`.
        collections: those that it is for; None for all, also those that are made later.
        expires: None for never.
        revoked: when it was; None for one that holds.
    """

    id: str
    name: str
    scope: str
    collections: tuple[str, ...] | None
    created: float
    expires: float | None = None
    revoked: float | None = None

    def state(self, now: float | None = None) -> str:
        """`valid`, `expired` or `revoked`."""
        now = time.time() if now is None else now
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "valid"

    def to_dict(self) -> dict[str, Any]:
        """JSON values; times in ISO 8601, UTC."""
        return {
            "id": self.id,
            "name": self.name,
            "scope": self.scope,
            "collections": None if self.collections is None else list(self.collections),
            "created": _iso(self.created),
            "expires": None if self.expires is None else _iso(self.expires),
            "state": self.state(),
        }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
