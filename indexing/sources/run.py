"""One sync, with what follows a change of documents: views, and their upkeep."""

from __future__ import annotations

from collections.abc import Sequence

from indexing.documents import ReadReport
from indexing.models.held import Encoders
from indexing.session import Session
from indexing.sources.looking import Target
from indexing.sources.report import SyncReport
from indexing.sources.sync import Sync
from indexing.upkeep.compact import compact_if_worth
from indexing.views.manager import Views
from indexing.writing.add import Adding
from indexing.writing.report import Progress

__all__ = ["run_sync"]


def run_sync(
    session: Session,
    views: Views,
    encoders: Encoders,
    targets: Sequence[Target],
    read: ReadReport,
    *,
    prune: bool = False,
    force: bool = False,
    all_files: bool = False,
    progress: Progress | None = None,
) -> SyncReport:
    """Brings a collection in step with `targets`; see `Collection.sync`. The caller holds the lock of the
    documents.
    """
    sync = Sync(session, targets, read, prune=prune, force=force, all_files=all_files)
    adding = Adding(session, views, encoders)
    sync.run(lambda items: adding.run_held(items, "skip", progress))
    if sync.report.pruned:
        views.forget()
        adding.publish_if_worth(sync.report.pruned)
        compact_if_worth(session, views)
    return sync.report
