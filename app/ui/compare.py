"""The answers of another serving beside those of the live one: looked at, and not kept."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.facade.caller import Caller
from app.facade.search import Facet, SearchRequest, offered_reranker, search
from app.ui import markup
from indexing import Collection, SearchResults
from indexing.serving.history import Serving

__all__ = ["draw_comparison", "draw_comparison_choice"]

_CHOSEN = "serving to compare"


def draw_comparison_choice(collection: Collection) -> None:
    """Where there are several servings: which one is shown beside the live one."""
    servings = collection.servings()
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
    caller: Caller,
    collection: Collection,
    request: SearchRequest,
    facets: Sequence[Facet],
    live: SearchResults,
) -> None:
    """Both lists side by side; nothing where none was chosen, or a trial goes on."""
    chosen = st.session_state.get(_CHOSEN)
    if chosen is None or live.trial is not None or live.serving is None:
        return
    reranker = offered_reranker(collection)
    other = search(collection, request, facets, reranker, serving=chosen, caller=caller)
    st.html(markup.comparison(live, other))


def _name(serving: Serving) -> str:
    return f"{serving.id} · {serving.note}"
