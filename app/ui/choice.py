"""The collection that a page is about: chosen at the top of it, kept in the address and from page to page."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.desk.visit import Desk
from app.text import plain
from app.ui import address, markup, service

__all__ = ["chosen_collection", "draw_choice"]

_NONE_THERE = (
    "The service has none that your key is for. Make one on the Collections page, if your key allows that, or"
    " ask whoever runs the service."
)


def draw_choice(names: Sequence[str]) -> None:
    """The name of the collection, or a list to choose from where there are several."""
    wanted = st.session_state.get("collection", "")
    known = wanted in ("", *names)
    if not names:
        return
    if len(names) == 1 and known:
        st.html(markup.collection_name(names[0]))
        return
    if not known:
        names = [wanted, *names]
    # The value is kept under a name of its own: an empty one in an address means the first collection.
    st.session_state["collection"] = st.selectbox(
        "Collection",
        names,
        index=list(names).index(wanted) if wanted else 0,
        format_func=plain,
        label_visibility="collapsed",
        on_change=address.forget_filters,
        width=220,
    )


def chosen_collection(desk: Desk) -> str | None:
    """Its name; None where there is none, which the page says by itself then."""
    listing = service.collections(desk)
    names = listing.names
    wanted = st.session_state.get("collection", "") or (names[0] if names else "")
    if not names:
        if desk.service:
            st.html(markup.note("No collection here", _NONE_THERE))
        elif not listing.damaged:
            st.html(markup.no_collections())
        return None
    if wanted not in names:
        st.html(markup.failure(f"There is no collection {wanted!r} here. Choose another one above."))
        return None
    return wanted
