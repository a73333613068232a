"""Keeping out what was erased."""

from __future__ import annotations

from dataclasses import dataclass

from indexing.catalog.denials import Denials

__all__ = ["Guard"]


@dataclass(frozen=True)
class Guard:
    """What may not come into a collection. Messages never name it: they end in logs."""

    collection: str
    denials: Denials | None

    def erasure_of(self, id_: str, text: str, *, same_text: bool = False) -> int | None:
        """The erasure that keeps a document out; None where none does. One that is there under another id,
        and has the text that it has (`same_text`), may go on having it.
        """
        if self.denials is None:
            return None
        by_id = self.denials.by_id(id_)
        return by_id if by_id is not None or same_text else self.denials.by_text(text)

    def knows(self, id_: str) -> bool:
        """Whether this id is kept out."""
        return self.denials is not None and self.denials.by_id(id_) is not None

    def refusal(self, erasure: int) -> str:
        """Why one document is not taken."""
        return (
            f"a document was erased from collection {self.collection!r} (erasure {erasure}) and stays out,"
            f" by its id and by its text: `stlib erase {self.collection} --allow-again ID` lets it in, and"
            ' on_error="skip" passes over it'
        )

    def note(self, count: int) -> str:
        """What a run says of documents that it passed over."""
        were = "document was" if count == 1 else "documents were"
        return (
            f"{count:,} {were} erased from {self.collection!r} before and stayed out: `stlib erase"
            f" {self.collection} --allow-again ID` lets one in again"
        )
