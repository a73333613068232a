"""People who signed in: whose name they go by, and which scope their roles have.

STLIB_ROLES       role=scope, parted by commas: `editors=write,admins=admin,*=read`; `*` is anybody who
                  signed in. Who has none of them may do nothing.
STLIB_ROLE_CLAIM  the claim that holds the roles, a text or a list of them; dots lead into objects
                  (default: roles)
STLIB_NAME_CLAIM  the claim that is the name of a person; one that the issuer lets people choose freely is
                  no name (default: email, where it is verified; else the subject)
STLIB_SIGN_IN_HOURS  after how many hours somebody signs in anew, so that a role that was taken away is
                  gone by then (default: 12)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.facade.caller import visitor_rights
from app.keys.model import RIGHTS_OF_SCOPES, SCOPES
from app.text import plain
from indexing.errors import BadInput

__all__ = ["ROLES_VARIABLE", "Person", "SignInRules", "rights_of", "sign_in_rules"]

ROLES_VARIABLE = "STLIB_ROLES"
ROLE_CLAIM_VARIABLE = "STLIB_ROLE_CLAIM"
NAME_CLAIM_VARIABLE = "STLIB_NAME_CLAIM"
HOURS_VARIABLE = "STLIB_SIGN_IN_HOURS"

_ANYBODY = "*"
_MOST_HOURS = 24 * 30  # as long as a page remembers somebody at all
_LONGEST = 80  # characters of a name


@dataclass(frozen=True)
class Person:
    """Somebody who signed in at `since` (seconds since 1970) and is believed `until` then. `scope` is one of
    a key's, None for nothing.
    """

    name: str
    scope: str | None
    since: float
    until: float


@dataclass(frozen=True)
class SignInRules:
    """See the variables of this module."""

    scopes: Mapping[str, str]
    role_claim: str = "roles"
    name_claim: str = ""
    hours: float = 12.0

    def person_of(self, claims: Mapping[str, Any]) -> Person | None:
        """Who has these claims; None where they name nobody."""
        name = _name(claims, self.name_claim)
        since = claims.get("iat")
        if not name or isinstance(since, bool) or not isinstance(since, (int, float)):
            return None
        roles = {_ANYBODY, *_texts(_inner(claims, self.role_claim))}
        scopes = {self.scopes[role] for role in roles if role in self.scopes}
        scope = max(scopes, key=SCOPES.index, default=None)
        return Person(name, scope, float(since), float(since) + self.hours * 3600)


def sign_in_rules(environment: Mapping[str, str] | None = None) -> SignInRules:
    """
    Raises:
        BadInput: a variable holds what it cannot.
    """
    environment = os.environ if environment is None else environment
    scopes = {}
    for one in filter(None, map(str.strip, environment.get(ROLES_VARIABLE, "").split(","))):
        role, equals, scope = (part.strip() for part in one.rpartition("="))
        if not (role and equals and scope in SCOPES):
            raise BadInput(f"{ROLES_VARIABLE} has {one!r}: write role=scope, with one of {', '.join(SCOPES)}")
        scopes[role] = scope
    hours = environment.get(HOURS_VARIABLE) or "12"
    if not (hours.isascii() and hours.isdecimal() and 0 < int(hours) <= _MOST_HOURS):
        raise BadInput(f"{HOURS_VARIABLE} is {hours!r}: give a whole number of hours, 1 to {_MOST_HOURS}")
    return SignInRules(
        scopes,
        environment.get(ROLE_CLAIM_VARIABLE) or "roles",
        environment.get(NAME_CLAIM_VARIABLE) or "",
        float(hours),
    )


def rights_of(person: Person) -> frozenset[str]:
    """On this machine: those of the scope that every visitor may have."""
    return RIGHTS_OF_SCOPES[person.scope] & visitor_rights() if person.scope else frozenset()


def _name(claims: Mapping[str, Any], claim: str) -> str:
    """An address that nobody verified is what somebody typed: the subject is the name then, unless whoever
    runs the page chose the claim.
    """
    doubtful = not claim and claims.get("email_verified") not in (True, "true")
    named = None if doubtful else claims.get(claim or "email")
    for one in (named, claims.get("sub")):
        if isinstance(one, str) and (name := plain(" ".join(one.split()))[:_LONGEST]):
            return name
    return ""


def _inner(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its name, which may have dots in it, else what the parts of the name lead to."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, (list, tuple)) else [value]
    return [one for one in values if isinstance(one, str) and one != _ANYBODY]
