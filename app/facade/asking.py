"""A question as programs and agents ask it: all that `Collection.search` takes, by somebody, and recorded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from app.facade.caller import Caller, require
from app.facade.feedback import draw_seed, log_search
from app.settings import Location
from indexing.errors import IndexingError
from indexing.names import DEFAULT_MODE, DEFAULT_RERANK_DEPTH, DEFAULT_RESULTS, SERVING_RERANKER
from indexing.search.filter_spelling import Given, filter_text

if TYPE_CHECKING:
    from indexing import Collection, Result, SearchResults

__all__ = ["AnswerOfMany", "ask", "ask_many"]


def ask(
    caller: Caller,
    location: Location,
    collection: Collection,
    query: str | None,
    k: int = DEFAULT_RESULTS,
    *,
    offset: int = 0,
    seq: int | None = None,
    mode: str = DEFAULT_MODE,
    filter: Given | None = None,
    vector: Any = None,
    rerank: Any = SERVING_RERANKER,
    rerank_depth: int = DEFAULT_RERANK_DEPTH,
    rerank_budget_ms: float | None = None,
    serving: int | None = None,
) -> SearchResults:
    """What `Collection.search` answers. It is kept as an impression, under its `id`, as far as the settings
    want that.

    Raises:
        NotAllowed: the caller may not search.
        FilterError, BadInput: as `Collection.search`.
    """
    require(caller, "search", collection)
    results = collection.search(
        query,
        k,
        offset=offset,
        seq=seq,
        mode=mode,
        filter=filter,
        vector=vector,
        rerank=rerank,
        rerank_depth=rerank_depth,
        rerank_budget_ms=rerank_budget_ms,
        serving=serving,
        seed=draw_seed(caller),
    )
    written = None if filter is None else filter_text(filter)
    reranker = None if rerank is SERVING_RERANKER else str(rerank or "")
    log_search(caller, location, collection, results, k=k, filter=written, reranker=reranker)
    return results


@dataclass
class AnswerOfMany:
    """The best of several collections: `results` with the name of the collection of each, best first, and
    `failed` name → why a collection could not be asked.
    """

    results: list[tuple[str, Result]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def ask_many(
    caller: Caller, location: Location, collections: Iterable[Collection], query: str, k: int
) -> AnswerOfMany:
    """Ask several collections the same, and take from each in turn, by rank.

    Scores of different collections do not compare: each may have a model of its own, and in hybrid mode they
    are shares of what one collection holds. A collection that says of itself that its answer is weak comes
    after those that do not.

    Raises:
        NotAllowed: the caller may not search.
    """
    require(caller, "search")
    answer = AnswerOfMany()
    strong: list[list[tuple[str, Result]]] = []
    weak: list[list[tuple[str, Result]]] = []
    for collection in collections:
        try:
            found = ask(caller, location, collection, query, k)
        except IndexingError as error:
            answer.failed[collection.name] = str(error)
            continue
        (weak if found.weak else strong).append([(collection.name, one) for one in found])
    ordered = [*_in_turn(strong), *_in_turn(weak)]
    answer.results = ordered[:k]
    return answer


def _in_turn(lists: list[list[tuple[str, Result]]]) -> list[tuple[str, Result]]:
    return [one for rank in zip_longest(*lists) for one in rank if one is not None]
