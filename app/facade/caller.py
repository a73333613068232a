"""Who asks, and what they may do: functions of the facade that show or change something take a `Caller`.

A person at a terminal, in a program or on a page of this machine may do everything. `STLIB_RIGHTS` limits
what visitors of the page may do, for a page that others reach through a proxy; a program that uses the
service may do what its key says, with the collections that it is for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from app.facade.who import login_name
from indexing.errors import BadInput

__all__ = [
    "ALL_RIGHTS",
    "RIGHTS_VARIABLE",
    "Caller",
    "NotAllowed",
    "local_caller",
    "require",
    "require_everywhere",
    "visitor_rights",
]

ALL_RIGHTS = frozenset({"search", "judge", "write", "improve", "manage"})
"""`search`: ask and read. `judge`: say what was right. `write`: add, change and delete documents. `improve`:
tune, promote, roll back. `manage`: make, fill and delete collections, start and stop jobs, erase what was
said.
"""

RIGHTS_VARIABLE = "STLIB_RIGHTS"


_BY_KEY = ("api", "mcp")
_PAGE_REMEDY = f"whoever runs the page grants it with {RIGHTS_VARIABLE}"


class NotAllowed(BadInput):
    """The caller may not do this."""


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        name: of the person, as histories show it; empty where nobody is known.
        surface: where it was asked: `python`, `cli`, `page`, `api` or `mcp`.
        session: one visit of this person; clicks are counted by it.
        rights: of `ALL_RIGHTS`.
        collections: those that may be seen and used; None for all.
    """

    name: str = ""
    surface: str = "python"
    session: str = ""
    rights: frozenset[str] = ALL_RIGHTS
    collections: frozenset[str] | None = None

    def may_use(self, collection: str) -> bool:
        return self.collections is None or collection in self.collections


def local_caller(surface: str = "python") -> Caller:
    """The person whose process this is; one process is one session."""
    return Caller(login_name(), surface, f"{surface}-{os.getpid()}")


class Named(Protocol):
    """A collection that is open."""

    name: str


def require(caller: Caller, right: str, collection: str | Named | None = None) -> None:
    """
    Raises:
        NotAllowed: the caller has not this right, or may not use this collection, be there one or not.
    """
    who = caller.name or "this visitor"
    if right not in caller.rights:
        has = ", ".join(sorted(caller.rights)) or "nothing"
        remedy = "a key of a wider scope has it" if caller.surface in _BY_KEY else _PAGE_REMEDY
        raise NotAllowed(f"{who} may {has} here, and this needs the right to {right}: {remedy}")
    if collection is None or caller.collections is None:
        return
    name = collection if isinstance(collection, str) else collection.name
    if not caller.may_use(name):
        of = ", ".join(sorted(caller.collections or ())) or "none"
        raise NotAllowed(f"{who} may not use collection {name!r}; those allowed: {of}")


def require_everywhere(caller: Caller, right: str) -> None:
    """For what concerns more than one collection.

    Raises:
        NotAllowed: the caller has not this right, or has it in some collections only.
    """
    require(caller, right)
    if caller.collections is not None:
        raise NotAllowed(
            f"{caller.name or 'this visitor'} may use some collections only, and this concerns all of them"
        )


def visitor_rights(environment: Mapping[str, str] | None = None) -> frozenset[str]:
    """What visitors of the page may do: everything, or what `STLIB_RIGHTS` lists.

    Raises:
        BadInput: it lists what is no right.
    """
    environment = os.environ if environment is None else environment
    listed = environment.get(RIGHTS_VARIABLE)
    if listed is None:
        return ALL_RIGHTS
    rights = frozenset(one.strip() for one in listed.split(",")) - {""}
    if unknown := ", ".join(sorted(rights - ALL_RIGHTS)):
        raise BadInput(f"{RIGHTS_VARIABLE} lists {unknown}: use some of {', '.join(sorted(ALL_RIGHTS))}")
    return rights
