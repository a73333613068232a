"""What an erasure reached, what it has yet to reach, and what it cannot."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Protocol

from indexing.catalog.erasing import DONE, ErasureInfo, Wanted

__all__ = ["Beyond", "Reached", "Receipt", "receipt_of"]


@dataclass
class Reached:
    """What was found outside of the catalog, and erased.

    Attributes:
        erased: what → how many.
        pending: what could not be reached yet, and why. None of it may name what is erased.
        seen_by: what has learned from it and keeps what it learned.
        out_of_reach: where it may be besides.
        gone_files: paths of files that were removed, which documents were read from.
        names_needed: what is pending cannot be found again without the names of what is erased.
    """

    erased: Counter[str] = field(default_factory=Counter)
    pending: list[str] = field(default_factory=list)
    seen_by: list[str] = field(default_factory=list)
    out_of_reach: list[str] = field(default_factory=list)
    gone_files: list[str] = field(default_factory=list)
    names_needed: bool = False


class Beyond(Protocol):
    """What is kept of documents beside the collection, such as searches that showed them."""

    def forget(self, wanted: Wanted) -> Reached:
        """Erases all that names or quotes them. It is called again where a run was killed, or something was
        pending.
        """
        ...


@dataclass(frozen=True)
class Receipt:
    """What came of one erasure. It names nothing that was erased.

    Attributes:
        number: of the erasure in its collection's catalog.
        state: `done`, or `pending` for as long as there is something in `pending`.
        documents: how many were named; `found` how many of them were there.
        erased: what → how many rows, files or entries are gone.
        same_texts: other documents that have the very text of one of them, and stay.
        seen_by: what was tuned with them and keeps what it learned.
        pending: what will be gone later, and why not yet.
        out_of_reach: where they may be besides, in words.
    """

    number: int
    state: str
    documents: int
    found: int
    who: str
    begun_at: str
    ended_at: str | None
    erased: dict[str, int]
    same_texts: int
    seen_by: tuple[str, ...]
    pending: tuple[str, ...]
    out_of_reach: tuple[str, ...]

    @property
    def done(self) -> bool:
        return self.state == DONE

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        lists = {name: list(getattr(self, name)) for name in ("seen_by", "pending", "out_of_reach")}
        return {**vars(self), **lists}


def receipt_of(info: ErasureInfo) -> Receipt:
    """The receipt of a row; of one that was killed it says that everything is pending."""
    said = info.receipt or {}
    return Receipt(
        number=info.id,
        state=info.state,
        documents=info.documents,
        found=int(said.get("found", 0)),
        who=info.who,
        begun_at=info.begun_at,
        ended_at=info.ended_at,
        erased={str(name): int(count) for name, count in said.get("erased", {}).items()},
        same_texts=int(said.get("same_texts", 0)),
        seen_by=tuple(map(str, said.get("seen_by", ()))),
        pending=tuple(map(str, said.get("pending", ("it was begun and has not ended",)))),
        out_of_reach=tuple(map(str, said.get("out_of_reach", ()))),
    )
