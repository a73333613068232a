"""The pages of one answer: what follows those that were shown, and all of them as cards and as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from app.facade.grouping import Group, group_results
from app.facade.showing import file_of

if TYPE_CHECKING:
    from indexing import SearchResults

__all__ = ["join_pages", "make_cards", "without_shown"]


def make_cards(pages: Sequence[SearchResults], *, by_file: bool = False, alike: bool = True) -> list[Group]:
    """The cards of pages that follow each other, see `app.facade.grouping`: passages that are nearly `alike`
    are on one, and where that is wanted the documents of one file.
    """
    results = [result for page in pages for result in page]
    files = [file_of(result) for result in results] if by_file else None
    return group_results(results, files, pages[0].offset + 1, alike=alike)


def join_pages(pages: Sequence[SearchResults]) -> SearchResults:
    """Pages that follow each other as one answer."""
    first, last = pages[0], pages[-1]
    return replace(
        first,
        results=[result for page in pages for result in page],
        took_ms=sum(page.took_ms for page in pages),
        steps={
            step: sum(page.steps.get(step, 0.0) for page in pages)
            for step in dict.fromkeys(step for page in pages for step in page.steps)
        },
        keyword_lag=last.keyword_lag,
        notes=list(dict.fromkeys(note for page in pages for note in page.notes)),
        reranked=last.reranked,
        stopped=last.stopped,
        teams=None,
    )


def without_shown(results: SearchResults, pages: Sequence[SearchResults], most: int) -> SearchResults:
    """At most so many of `results`, as the page that follows those that were shown, none of which is shown
    again: the order may have changed since.
    """
    shown = {result.id for page in pages for result in page}
    new = [place for place, result in enumerate(results) if result.id not in shown][:most]
    return replace(
        results,
        results=[results[place] for place in new],
        teams=None if results.teams is None else [results.teams[place] for place in new],
        offset=pages[0].offset + len(shown),
    )
