"""What every view can do: whoever keeps them near the log knows no more of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

__all__ = ["FEW_CHANGES", "View", "can_go_on"]

# A collection that has no more is searched without a snapshot.
FEW_CHANGES = 64


def can_go_on(followed: int, meta: Mapping[str, Any], purged: int) -> bool:
    """Whether a snapshot that has followed the log to its change `followed` can go on from there, though what
    was removed up to the change `purged` is not said any more.

    It can if it got so far, or if it holds nothing of that: the first steps of one that is made anew read a
    log in which those removals had been forgotten already, up to `meta["purged"]`.
    """
    return followed >= purged or int(meta.get("purged", 0)) >= purged


class View(Protocol):
    """One kind of snapshots of one collection, derived from its log and disposable.

    A view follows changes that are counted: those of documents, or those of a generation's chunks. Methods
    are called under the collection's lock, `publish` also under that of its views, which excludes other
    processes.
    """

    @property
    def what(self) -> str:
        """As messages call it."""
        ...

    def seq(self) -> int:
        """The change that the newest snapshot has followed to, told by its name alone; 0 if there is none."""
        ...

    def is_ahead(self) -> bool:
        """Whether a snapshot has followed changes that the log does not have."""
        ...

    def is_behind(self, *, by_much: bool) -> bool:
        """Whether there are newer changes; `by_much`: more than a search should read by itself, which is
        `FEW_CHANGES` where there is no snapshot.
        """
        ...

    def publish(self) -> None:
        """Follows the log to its end and publishes a snapshot: the last one and what is new."""
        ...

    def renew(self) -> None:
        """Publishes a snapshot made of the log alone, under a new name, and removes every older file: nothing
        of what was deleted is left in what stays.
        """
        ...

    def examine(self) -> list[str]:
        """Compares every file with its checksum; a damaged snapshot is set aside, and the reason returned."""
        ...

    def check(self) -> list[str]:
        """What `examine` finds, and what differs from the catalog; damage is set aside."""
        ...

    def discard(self) -> None:
        """Takes every snapshot out of use."""
        ...
