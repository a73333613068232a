"""What every page stands in: the top with the ways to the others, who looks at it, and one way of failing."""

from __future__ import annotations

from functools import partial

import streamlit as st

from app.desk.visit import Desk
from app.ui import address, markup, search_page, service
from app.ui.away import answered, draw_away
from app.ui.choice import draw_choice
from app.ui.entrance import desk_of_visitor
from app.ui.notices import draw_notices
from app.ui.pages import PAGES, Entry
from app.ui.person_part import draw_person
from app.ui.sign_in import NotSignedIn, draw_sign_in
from indexing.errors import IndexingError

__all__ = ["draw"]

_PAGE = "page shown"


def draw() -> None:
    """The whole of what a visitor sees, once."""
    st.set_page_config(page_title="stlib", page_icon=str(markup.ICON), layout="centered")
    st.html(markup.style())
    targets = {
        entry.title: st.Page(
            partial(_draw_page, entry),
            title=f"{entry.title} · stlib",
            url_path="" if entry is PAGES[0] else entry.title.lower(),
            default=entry is PAGES[0],
        )
        for entry in PAGES
    }
    chosen = st.navigation(list(targets.values()), position="hidden")
    entry = next(one for one in PAGES if targets[one.title].url_path == chosen.url_path)
    if st.session_state.get(_PAGE) != entry.title:
        st.session_state.pop(search_page.ANSWER, None)  # one comes back to answers as they are by then
        st.session_state[_PAGE] = entry.title
    desk = _enter(entry, targets)
    if desk is None:
        return
    complete = False
    with answered():
        (entry.load or address.load_collection)()
        _draw_top(entry, targets, desk)
        if entry.load is None and entry.of_collection:
            address.store_collection()
        complete = True
    draw_notices()
    if complete or not desk.service:  # what the top cannot ask a service the page cannot either
        chosen.run()


def _enter(entry: Entry, targets: dict[str, st.Page]) -> Desk | None:
    """The desk of whoever looks; None where they cannot be let in, which the page says then."""
    try:
        return desk_of_visitor()
    except NotSignedIn as reason:
        _draw_top(entry, targets, None)
        draw_sign_in(str(reason))
    except IndexingError as error:
        _draw_top(entry, targets, None)
        draw_away(error)
    return None


def _draw_top(current: Entry, targets: dict[str, st.Page], desk: Desk | None) -> None:
    """Without a desk, the name of the program alone."""
    with st.container(horizontal=True, vertical_alignment="center", key="top"):
        st.html(markup.brand())
        if desk is None:
            return
        if len(PAGES) > 1:
            with st.container(horizontal=True, vertical_alignment="center", key="ways"):
                for entry in PAGES:
                    _draw_way(entry, targets[entry.title], current)
        with st.container(horizontal=True, vertical_alignment="center", key="top-end"):
            if current.of_collection:
                draw_choice(service.collections(desk).names)
            draw_person(desk)


def _draw_way(entry: Entry, target: st.Page, current: Entry) -> None:
    """Other pages are come back to as they were left."""
    chosen = st.session_state.get("collection", "")
    parameters = {"collection": [chosen]} if entry.of_collection and chosen else {}
    if entry.link is not None and entry is not current:
        parameters = entry.link()
    st.page_link(target, label=entry.title, query_params=parameters)


def _draw_page(entry: Entry) -> None:
    with answered():
        entry.page()
