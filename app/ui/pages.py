"""Which pages there are, in the order in which the top of each shows them. A new page is a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.ui import address, collections_page, evaluate_page, improve_page, jobs_page, search_page

__all__ = ["PAGES", "Entry"]


@dataclass(frozen=True)
class Entry:
    """One page.

    Attributes:
        title: as its link shows it; its address is the same in small letters, that of the first page is `/`.
        page: draws it; called inside the shell, which shows what it raises as a sentence.
        of_collection: whether it is about one collection: the top then lets a person choose, and the page
            asks `app.ui.choice.chosen_collection()` which.
        load: called before anything is drawn, to set widgets from the address.
        link: parameters of the address with which the page is come back to.
    """

    title: str
    page: Callable[[], None]
    of_collection: bool = False
    load: Callable[[], None] | None = None
    link: Callable[[], dict[str, list[str]]] | None = None


PAGES: tuple[Entry, ...] = (
    Entry("Search", search_page.page, of_collection=True, load=address.load, link=address.last_asked),
    Entry("Improve", improve_page.page, of_collection=True),
    Entry("Evaluate", evaluate_page.page, of_collection=True),
    Entry("Collections", collections_page.page, of_collection=True),
    Entry("Jobs", jobs_page.page),
)
