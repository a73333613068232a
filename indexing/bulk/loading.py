"""What `Collection.load` does: a named source into a collection, by this process or by a cluster."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from datetime import datetime

from indexing.bulk.here import load_here
from indexing.bulk.loads import unfinished
from indexing.bulk.ray.run import load_by_ray
from indexing.bulk.report import LoadProgress, LoadReport
from indexing.bulk.sources import NamedSource
from indexing.catalog.loads import OPEN
from indexing.documents import ReadReport
from indexing.documents.options import ReadOptions
from indexing.models.held import Encoders
from indexing.session import Session
from indexing.views.manager import Views

__all__ = ["load_source", "planned_at"]


def load_source(
    session: Session,
    views: Views,
    encoders: Encoders,
    addresses: Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    ray: str | None,
    workers: int | None,
    options: ReadOptions | None,
    restart: bool,
    within: Iterable[str | os.PathLike[str]] | None,
    read: ReadReport | None,
    progress: LoadProgress | None,
) -> LoadReport:
    """See `Collection.load`."""
    with NamedSource(session, addresses, options, within=within, report=read) as source:
        if ray is None:
            return load_here(session, views, encoders, source, restart=restart, progress=progress)
        return load_by_ray(
            session, views, encoders, source, ray, workers=workers, restart=restart, progress=progress
        )


def planned_at(
    session: Session,
    addresses: Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
    options: ReadOptions | None,
) -> datetime | None:
    """See `Collection.load_planned_at`."""
    with NamedSource(session, addresses, options) as source:
        identity = json.loads(json.dumps(source.identity))
    begun = [one.begun_at for one in unfinished(session) if one.state == OPEN and one.identity == identity]
    return datetime.fromisoformat(begun[-1]) if begun else None
