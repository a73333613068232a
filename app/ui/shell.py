"""What every page stands in: the top with the ways to the others, who looks at it, and one way of failing."""

from __future__ import annotations

from functools import partial

import streamlit as st

from app.settings import Location
from app.ui import address, markup, search_page, service
from app.ui.choice import draw_choice
from app.ui.notices import draw_notices, sentences
from app.ui.pages import PAGES, Entry
from app.ui.visitor import draw_visitor, visitor

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
    with sentences():
        (entry.load or address.load_collection)()
        _draw_top(entry, targets)
        if entry.load is None and entry.of_collection:
            address.store_collection()
    draw_notices()
    chosen.run()


def _draw_top(current: Entry, targets: dict[str, st.Page]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="top"):
        st.html(markup.brand())
        if len(PAGES) > 1:
            with st.container(horizontal=True, vertical_alignment="center", key="ways"):
                for entry in PAGES:
                    _draw_way(entry, targets[entry.title], current)
        with st.container(horizontal=True, vertical_alignment="center", key="top-end"):
            if current.of_collection:
                draw_choice(service.collections(Location.from_environment()).names)
            draw_visitor(visitor())


def _draw_way(entry: Entry, target: st.Page, current: Entry) -> None:
    """Other pages are come back to as they were left."""
    chosen = st.session_state.get("collection", "")
    parameters = {"collection": [chosen]} if entry.of_collection and chosen else {}
    if entry.link is not None and entry is not current:
        parameters = entry.link()
    st.page_link(target, label=entry.title, query_params=parameters)


def _draw_page(entry: Entry) -> None:
    with sentences():
        entry.page()
