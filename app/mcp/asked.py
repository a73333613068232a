"""One request of a client: who asks, and the collections that may be answered from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from app.facade.caller import Caller
from app.settings import Location
from indexing.errors import BadInput, UnknownCollection

if TYPE_CHECKING:
    from indexing import Collection
    from indexing.listing import Listing

__all__ = ["Asked", "Held"]


class Held(Protocol):
    """Where open collections come from, such as `app.facade.opened.OpenCollections`."""

    @property
    def location(self) -> Location: ...

    def collection(self, name: str) -> Collection: ...

    def count(self, name: str) -> int: ...

    def forget(self, name: str) -> None: ...


@dataclass(frozen=True)
class Asked:
    """Who asks of which collections.

    Attributes:
        served: names of the collections that this server is for; None for all.
        local: whether it is a person at this machine, whom an error may tell of its files.
    """

    caller: Caller
    held: Held
    served: frozenset[str] | None = None
    local: bool = False

    @property
    def location(self) -> Location:
        return self.held.location

    def allows(self, name: str) -> bool:
        return self.caller.may_use(name) and (self.served is None or name in self.served)

    def listing(self) -> Listing:
        """The collections that there are for this caller."""
        from indexing.listing import Listing, list_collections

        found = list_collections(**self.location.arguments())
        return Listing(
            [name for name in found.names if self.allows(name)],
            {name: why for name, why in found.damaged.items() if self.allows(name)},
        )

    def count(self, name: str) -> int:
        """How many documents a collection of `listing` has."""
        return self.held.count(name)

    def collection(self, name: str) -> Collection:
        """
        Raises:
            UnknownCollection: there is none of this name for this caller; the message lists those there are.
        """
        if self.allows(name):
            try:
                return self.held.collection(name)
            except (UnknownCollection, BadInput):  # BadInput: a name that no collection can have
                self.held.forget(name)
        names = self.listing().names
        listed = ", ".join(names[:20]) + (" …" if len(names) > 20 else "")
        raise UnknownCollection(
            f"no collection {name[:64]!r} here: "
            + (f"use one of {listed}" if names else "there is none that you may read")
        )
