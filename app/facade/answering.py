"""The answer to a question, page by page, as somebody reads on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from app.facade.caller import Caller
from app.facade.grouping import passage_of
from app.facade.paging import join_pages, make_cards
from app.facade.search import RESULT_COUNTS, Facet, SearchRequest, offered_reranker, search
from app.settings import Location
from indexing.search.results import SearchResults, Snippet

if TYPE_CHECKING:
    from indexing import Collection, Result

__all__ = ["Pages", "answer", "more_than", "only_passages"]


@dataclass(frozen=True)
class Pages:
    """New `pages` of an answer, which bring it to `k` results as far as there are as many."""

    k: int
    pages: tuple[SearchResults, ...]


def answer(
    caller: Caller,
    location: Location,
    collection: Collection,
    request: SearchRequest,
    facets: Sequence[Facet] = (),
    before: Sequence[SearchResults] = (),
) -> Pages:
    """What follows the pages that were shown `before`: up to `request.k` results in all, or more, until there
    is something new that is not folded behind what was there. Every page is kept as an impression.

    Raises:
        FilterError: the written filter cannot be understood; its position counts in `request.filter`.
        NotAllowed: the caller may not search.
    """
    reranker = offered_reranker(collection)
    pages: tuple[SearchResults, ...] = ()
    while True:
        shown = (*before, *pages)
        page = search(collection, request, facets, reranker, caller=caller, location=location, after=shown)
        pages = (*pages, page)
        more = more_than(request.k)
        if not shown or more is None or len(join_pages((*shown, page))) < request.k:
            break
        by_file = request.group
        if len(make_cards((*shown, page), by_file=by_file)) > len(make_cards(shown, by_file=by_file)):
            break
        request = replace(request, k=more)
    return Pages(request.k, pages)


def more_than(count: int) -> int | None:
    """How many results are shown after so many; None after the most."""
    return next((more for more in RESULT_COUNTS if more > count), None)


def only_passages(pages: Sequence[SearchResults]) -> list[SearchResults]:
    """Pages with as much of each result as what follows them is made of: little, whatever documents hold."""
    return [replace(page, results=[_only_passage(result) for result in page], notes=[]) for page in pages]


def _only_passage(result: Result) -> Result:
    passage = passage_of(result)
    path = result.metadata.get("path")
    return replace(
        result,
        text=passage,
        span=(0, len(passage)),
        snippet=Snippet(""),
        metadata={"path": path} if path else {},
        parts={},
    )
