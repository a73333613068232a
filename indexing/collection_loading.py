"""The methods of `Collection` about bulk loads."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from indexing.documents import ReadReport
from indexing.documents.options import ReadOptions
from indexing.errors import BadInput
from indexing.models.held import Encoders
from indexing.session import Session
from indexing.views.manager import Views

if TYPE_CHECKING:
    from indexing.bulk.report import LoadProgress, LoadReport

__all__ = ["LoadingMethods"]

Addresses = Iterable[str | os.PathLike[str]] | str | os.PathLike[str]


class LoadingMethods:
    """A part of `Collection`, which gives it the attributes below."""

    name: str
    _session: Session
    _views: Views
    _encoders: Encoders

    def load(
        self,
        addresses: Addresses,
        *,
        ray: str | None = None,
        workers: int | None = None,
        options: ReadOptions | None = None,
        restart: bool = False,
        within: Iterable[str | os.PathLike[str]] | None = None,
        read: ReadReport | None = None,
        progress: LoadProgress | None = None,
    ) -> LoadReport:
        """Brings in folders, files, and what lies at addresses such as `s3://bucket/corpus/`, in parts that
        are planned once: a load that was stopped, however that happened, goes on where it was when it is
        called again with the same addresses and options, and embeds nothing twice. Afterwards the collection
        is in step with folders as `sync` would leave it.

        With `ray` processes of a Ray cluster do the work, `workers` of them: "local" starts them on this
        machine for as long as it takes, `HOST:6379` and "auto" name a cluster that runs, on a node of which
        this process is. None are as many as there are cores. What is loaded lies under the same path on every
        node, or at an address.

        A part that cannot be read is named in the report (`bad`), the others are stored, and the next call
        tries it again. `options` say how files are read. `restart` gives up the plan that there is; what was
        stored stays, and is not embedded again. `read` is told what there is to read, `progress` about once a
        second how far it is, between two commits: what it raises stops the load.

        Raises:
            BadInput: an address that has nothing; or something changed since the load was planned, and the
                message names it; or the cluster cannot be used. Nothing was read.
            MissingDependency: with `ray`, if it is not installed.
            LockedError: another process writes to the collection.
            DiskFull, ConnectionLost, ModelMismatch: what was stored stays, and the next call goes on.
        """
        from indexing.bulk.loading import load_source  # who only searches does without all that it needs

        if workers is not None and ray is None:
            raise BadInput("workers= is of a load by Ray: give ray='local' or an address too")
        return load_source(
            self._session,
            self._views,
            self._encoders,
            addresses,
            ray=ray,
            workers=workers,
            options=options,
            restart=restart,
            within=within,
            read=read,
            progress=progress,
        )

    def unfinished_loads(self) -> list[str]:
        """What loads are of that were begun and not finished, in the order in which they began."""
        from indexing.bulk.loads import unfinished

        return [", ".join(map(str, one.identity.get("addresses", ()))) for one in unfinished(self._session)]

    def load_planned_at(self, addresses: Addresses, *, options: ReadOptions | None = None) -> datetime | None:
        """When the load of `addresses`, read so, was planned that the next `load` of them goes on with, in
        UTC and whole seconds; None where there is none.
        """
        from indexing.bulk.loading import planned_at

        return planned_at(self._session, addresses, options)

    def abandon_loads(self) -> int:
        """Gives up every load that is not finished, and returns how many there were. What they have stored
        stays; processes that are still at one of them are refused.

        Raises:
            LockedError: another process writes to the collection, as the one of a load that is under way.
        """
        from indexing.bulk.loads import abandon, unfinished

        with self._session.writing_documents():
            found = unfinished(self._session)
            for one in found:
                abandon(self._session, one)
        return len(found)
