"""Who asks, of what place; and the desk that a page asks at."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from app.facade.caller import Caller, require
from app.settings import Location
from indexing import Collection

__all__ = ["Desk", "Visit"]

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Visit:
    """One person at one place. `open_collection` gives collections that are held open and shared,
    `forget_collection` lets go of one. `models` are those that collections may be made with beside the
    bundled one; None where the rules of a page over a home hold. `alone` says whether nobody but this machine
    can ask.
    """

    caller: Caller
    location: Location
    open_collection: Callable[[str], Collection]
    forget_collection: Callable[[str], None]
    models: tuple[str, ...] | None = None
    alone: bool = True

    @property
    def here(self) -> bool:
        """Whether who asks looks at a page of the machine that answers, and may know where things lie."""
        return self.caller.surface == "page"

    def collection(self, name: str, right: str = "search") -> Collection:
        """
        Raises:
            NotAllowed: the caller has not this right, or may not use this collection.
            UnknownCollection: there is none of this name.
        """
        require(self.caller, right, name)
        return self.open_collection(name)


class Desk(Protocol):
    """Where a page asks.

    Attributes:
        caller: the person. What they may do is said for drawing only: what is asked is checked where it is
            answered.
        identity: the place and what may be seen of it: answers that are kept for a while are kept by it.
        service: address of the service that answers; empty for this machine.
    """

    @property
    def caller(self) -> Caller: ...

    @property
    def identity(self) -> Hashable: ...

    @property
    def service(self) -> str: ...

    def ask(self, function: Callable[Concatenate[Visit, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The answer of a function of `app.desk.table`."""
        ...
