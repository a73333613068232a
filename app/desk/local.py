"""The desk of this machine: functions are called as they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Concatenate, ParamSpec, TypeVar

from app.desk.table import entry_of
from app.desk.visit import Visit
from app.facade.caller import Caller, NotAllowed
from app.facade.opened import OpenCollections
from app.settings import Location

__all__ = ["LocalDesk"]

P = ParamSpec("P")
R = TypeVar("R")


class LocalDesk:
    """Collections are opened once for all who look at pages of this process. The caller is believed `until`
    then (seconds since 1970), or as long as somebody looks.
    """

    service = ""

    def __init__(self, caller: Caller, location: Location, until: float | None = None) -> None:
        self.caller = caller
        self._until = until
        self._location = location
        held = _held(location)
        self._visit = Visit(caller, location, held.collection, held.forget)

    @property
    def identity(self) -> Hashable:
        return self._location, self.caller.rights

    def ask(self, function: Callable[Concatenate[Visit, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Raises what the function does.

        Raises:
            KeyError: it is no function of the table.
            NotAllowed: the caller signed in too long ago.
        """
        if self._until is not None and time.time() >= self._until:
            raise NotAllowed("you signed in too long ago: reload the page, and sign in again")
        entry_of(function)  # what works here works with a service too
        return function(self._visit, *args, **kwargs)


@lru_cache(maxsize=4)
def _held(location: Location) -> OpenCollections:
    return OpenCollections(location)
