"""Keeping what was answered: all that a search needs of feedback, and quick to import.

`app.facade.feedback` has the rest.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from app.facade.caller import Caller
from app.feedback.log import feedback_log
from app.feedback.place import feedback_place
from app.feedback.recording import draw_seed, make_impression
from app.settings import Location
from indexing.errors import IndexingError

if TYPE_CHECKING:
    from indexing import Collection, SearchResults

__all__ = ["draw_seed", "log_search"]

logger = logging.getLogger(__name__)

_warned: set[str] = set()


def log_search(
    caller: Caller,
    location: Location,
    collection: Collection,
    results: SearchResults,
    *,
    k: int,
    filter: str | None = None,
    reranker: str | None = None,
) -> None:
    """Queues an answer to be kept; adds some hundredths of a millisecond. `k` and `filter` as they were
    asked; `reranker` None where what is served decided, empty where none was wanted.

    Never raises because of the log: what cannot be kept is said once in the log of the program.
    """
    if not results.query.strip():
        return  # a vector was asked, and nobody can judge that
    try:
        impression = make_impression(caller, collection, results, k=k, filter=filter, reranker=reranker)
        feedback_log(feedback_place(location)).add(impression)
    except IndexingError as error:
        if str(error) not in _warned:
            _warned.add(str(error))
            logger.warning("searches are not recorded: %s", error)
