"""Loading what the first answer needs, before it is asked for."""

from __future__ import annotations

from contextlib import suppress

import app.mcp.running.reading
import app.mcp.running.research  # noqa: F401 - being imported is what is wanted
from app.facade.opened import OpenCollections
from app.mcp.asked import Asked
from indexing.errors import IndexingError

__all__ = ["warm_up"]


def warm_up(asked: Asked, held: OpenCollections, most: int) -> None:
    """Opens up to `most` collections and asks them something."""
    with suppress(IndexingError):
        held.warm(asked.listing().names[:most])
