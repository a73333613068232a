"""The methods of `Collection` about documents that are to be gone for good."""

from __future__ import annotations

from collections.abc import Iterable

from indexing.catalog.database import writing
from indexing.catalog.denials import lift_denials
from indexing.documents.model import check_ids
from indexing.errors import BadInput
from indexing.search.filter_spelling import Given
from indexing.session import Session
from indexing.upkeep.erase import erase, finish, receipts
from indexing.upkeep.erased import ErasedReport, check_erased, erased_among
from indexing.upkeep.receipt import Beyond, Receipt
from indexing.views.manager import Views

__all__ = ["ErasingMethods"]


class ErasingMethods:
    """A part of `Collection`, which gives it the attributes below."""

    _session: Session
    _views: Views

    def erase(
        self,
        ids: Iterable[str] | None = None,
        *,
        filter: Given | None = None,
        who: str = "",
        beyond: Beyond | None = None,
    ) -> Receipt:
        """Erases documents by id, or all that match `filter`, for good: from the rows of every generation,
        from free pages, from every view, out of what servings remember. They cannot come back by `add` or
        `sync`, by their ids or by their texts, until `allow_again` lets them. `delete` is for what is merely
        not wanted any more.

        The receipt says what is gone, what is pending, and what cannot be reached from here; it is kept. All
        indexes are made anew, which takes as long as indexing them took, without embedding. Ids that are not
        there are erased from what is left of documents that were deleted. Whoever is killed has lost nothing
        but time: the next call, or `finish_erasures`, goes on. `beyond` reaches what is kept beside the
        collection; `app.facade.erasure` has the one of the command `stlib erase`.

        Raises:
            BadInput, FilterError: nothing or both are given, or an id that is no string; nothing was changed.
            LockedError: another process adds or deletes documents; nothing was changed.
            DiskFull: there is no room for the database's own log; what was begun goes on with the next call.
        """
        if (ids is None) == (filter is None):
            raise BadInput("erase takes ids or filter=, one of them; drop() deletes the whole collection")
        return erase(self._session, self._views, ids, filter=filter, who=who, beyond=beyond)

    def finish_erasures(self, *, beyond: Beyond | None = None) -> list[Receipt]:
        """Goes on with erasures that were killed or are pending; returns their receipts. Raises as
        `erase`.
        """
        return finish(self._session, self._views, beyond=beyond)

    def erasures(self) -> list[Receipt]:
        """The receipts of all erasures, the oldest first."""
        return receipts(self._session)

    def check_erased(self) -> ErasedReport:
        """Looks for anything of what was erased, by the digests that are kept of it, and for files of views
        that are older than the last erasure. Nothing is changed.
        """
        return check_erased(self._session, self._views)

    def erased_among(self, ids: Iterable[str]) -> frozenset[str]:
        """Those of `ids` that were erased and may not come back: for those who keep ids elsewhere."""
        return erased_among(self._session, ids)

    def allow_again(self, ids: Iterable[str] = (), *, erasure: int | None = None) -> int:
        """Lets documents in again that were erased, by their ids, or all of one erasure; returns how many
        were kept out. Nothing brings them back by itself.

        Raises:
            BadInput: neither ids nor an erasure, or no such erasure.
            LockedError: another process adds or deletes documents.
        """
        named = check_ids(ids, numbers=True)
        if not named and erasure is None:
            raise BadInput("nothing is named: give ids, or the number of an erasure")
        known = [one.number for one in self.erasures()]
        if erasure is not None and erasure not in known:
            numbers = ", ".join(map(str, known)) or "none"
            raise BadInput(f"there is no erasure {erasure!r}; there are: {numbers}")
        with self._session.writing_documents(), writing(self._session.database) as connection:
            return lift_denials(connection, self._session.id, named, erasure)
