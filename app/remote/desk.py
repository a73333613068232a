"""The desk of a service: functions are called there, by whoever has the key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from typing import Any, Concatenate, ParamSpec, TypeVar

from app.desk import entering
from app.desk.table import entry_of
from app.desk.visit import Visit
from app.facade.caller import Caller
from app.remote.connection import Connection

__all__ = ["RemoteDesk"]

P = ParamSpec("P")
R = TypeVar("R")


class RemoteDesk:
    """One visit of the person whose `key` it is; `session` tells their visits apart."""

    def __init__(self, connection: Connection, key: str, session: str, caller: Caller | None = None) -> None:
        """`caller` where the service said a moment ago who it is."""
        self._connection = connection
        self._key = key
        self._session = session
        self._caller = caller

    @property
    def service(self) -> str:
        return self._connection.address

    @property
    def identity(self) -> Hashable:
        return self.service, hashlib.sha256(self._key.encode()).hexdigest()

    @property
    def caller(self) -> Caller:
        """Who the service says it is; asked once."""
        if self._caller is None:
            self._caller = self.ask(entering.who)
        return self._caller

    def ask(self, function: Callable[Concatenate[Visit, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Raises what the function does, and what `Connection.ask` does.

        Raises:
            KeyError: it is no function of the table.
        """
        entry = entry_of(function)
        arguments: dict[str, Any] = entry.arguments(args, kwargs)
        files = list(arguments.pop(entry.files, ()))
        answer: R = self._connection.ask(entry, arguments, key=self._key, session=self._session, files=files)
        return answer
