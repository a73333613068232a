"""The answers of another serving beside those of the live one: looked at, and not kept."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.desk import searching
from app.desk.searching import Outline
from app.desk.visit import Desk
from app.facade.search import Facet, SearchRequest
from app.ui import markup
from indexing import SearchResults
from indexing.serving.history import Serving

__all__ = ["draw_comparison", "draw_comparison_choice"]

_CHOSEN = "serving to compare"


def draw_comparison_choice(outline: Outline) -> None:
    """Where there are several servings: which one is shown beside the live one."""
    servings = outline.servings
    if len(servings) < 2:
        st.session_state.pop(_CHOSEN, None)
        return
    with st.popover("Compare", icon=":material/compare:"):
        if any(one.trial for one in servings):
            st.caption("A trial goes on: until it ends, nobody sees which serving gives which answer.")
            return
        others = {one.id: _name(one) for one in reversed(servings) if not one.live}
        st.selectbox(
            "Serving to show beside the live one",
            [None, *others],
            key=_CHOSEN,
            format_func=lambda one: "None" if one is None else others[one],
        )


def draw_comparison(
    desk: Desk,
    name: str,
    request: SearchRequest,
    facets: Sequence[Facet],
    live: SearchResults,
) -> None:
    """Both lists side by side; nothing where none was chosen, or a trial goes on."""
    chosen = st.session_state.get(_CHOSEN)
    if chosen is None or live.trial is not None or live.serving is None:
        return
    other = desk.ask(searching.compare, name, request, facets, chosen)
    st.html(markup.comparison(live, other))


def _name(serving: Serving) -> str:
    return f"{serving.id} · {serving.note}"
