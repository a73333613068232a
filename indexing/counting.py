"""How many documents and passages a collection has.

The catalog looks at each of them to tell, some two seconds for ten million that are in memory. The views know
how many they hold, and what came and went since is little where they are near the log.
"""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import Connection

from indexing.catalog import reads
from indexing.errors import CorruptView
from indexing.session import Live, Session
from indexing.views.manager import Views
from indexing.views.vectors import VectorView

__all__ = ["count_chunks", "count_documents"]


def count_documents(connection: Connection, session: Session, views: Views) -> int:
    """Documents as the transaction of `connection` sees them."""
    with suppress(CorruptView):
        reader = views.columns.reader(connection)
        if reader is not None:
            return reader.count_documents()
    return reads.count_documents(connection, session.id)


def count_chunks(connection: Connection, session: Session, views: Views, live: Live) -> int:
    """Passages of what is live. What lies at a server is not asked, as it may be away, and views that another
    thread is writing are not waited for.
    """
    count = None
    if session.lock.acquire(blocking=False):
        try:
            view = views.vectors(live)
            count = view.count(connection) if isinstance(view, VectorView) else None
        except CorruptView:  # a search makes it anew
            pass
        finally:
            session.lock.release()
    return reads.count_chunks(connection, live.generation.id) if count is None else count
