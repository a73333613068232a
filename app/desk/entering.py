"""Who one is, and keys of people who signed in to a page that asks a service."""

from __future__ import annotations

from dataclasses import dataclass

from app.desk.visit import Visit
from app.facade.caller import Caller
from app.facade.keys import make_key, revoke_key

__all__ = ["PersonKey", "make_person_key", "revoke_person_key", "who"]


@dataclass(frozen=True)
class PersonKey:
    """A key of one person; `expires` in seconds since 1970."""

    id: str
    text: str
    expires: float


def who(visit: Visit) -> Caller:
    """The caller, as the key says; without keys the person whose process answers."""
    return visit.caller


def make_person_key(visit: Visit, person: str, scope: str, hours: float) -> PersonKey:
    """A key of `person`, who signed in where the page runs, for so many hours. What they do stands under
    their name.

    Raises:
        NotAllowed: the caller, which is the page, may not manage all collections.
        BadInput: a name, scope or time that cannot be.
    """
    key, text = make_key(visit.caller, visit.location, person, scope=scope, days=hours / 24)
    return PersonKey(key.id, text, key.expires or 0.0)


def revoke_person_key(visit: Visit, key: str) -> None:
    """Ends a key, by its id; raises as `make_person_key`."""
    revoke_key(visit.caller, visit.location, key)
