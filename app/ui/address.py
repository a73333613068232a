"""The page's state, kept in two places that must agree: the widgets and the address bar.

The address wins when it changed since this session last wrote it: at the first load, after the back button,
after a person edited it. Otherwise the widgets win and the address follows them.
"""

from __future__ import annotations

import streamlit as st

from app.facade.search import SearchRequest
from indexing.names import DEFAULT_MODE

__all__ = [
    "PICK_PREFIX",
    "current",
    "forget_filters",
    "last_asked",
    "load",
    "load_collection",
    "store",
    "store_collection",
]

PICK_PREFIX = "pick "
_SEEN = "address seen"
_LAST = "last asked"
_SEEN_COLLECTION = "collection seen"
_WIDGETS = ("q", "mode", "filter", "rerank", "group")


def load() -> None:
    """Set the widgets from the address where it is the newer of the two. Call before any widget is drawn."""
    parameters = _parameters()
    widgets_are_new = any(name not in st.session_state for name in _WIDGETS)
    if st.session_state.get(_SEEN) == parameters and not widgets_are_new:
        return
    request = SearchRequest.from_parameters(parameters)
    st.session_state[_SEEN] = parameters
    for name in (*_WIDGETS, "collection", "k"):
        st.session_state[name] = getattr(request, name)
    for key in [key for key in st.session_state if str(key).startswith(PICK_PREFIX)]:
        del st.session_state[key]
    for name, values in request.picks.items():
        st.session_state[PICK_PREFIX + name] = list(values)


def current() -> SearchRequest:
    """What the widgets say now."""
    state = st.session_state
    picks = {
        str(key)[len(PICK_PREFIX) :]: tuple(sorted(values))
        for key, values in state.items()
        if str(key).startswith(PICK_PREFIX) and values
    }
    return SearchRequest(
        q=state["q"].strip(),
        collection=state["collection"],
        mode=state["mode"] or DEFAULT_MODE,
        k=state["k"],
        filter=state["filter"].strip(),
        rerank=state["rerank"],
        group=state["group"],
        picks=dict(sorted(picks.items())),
    )


def store(request: SearchRequest) -> None:
    """Write the address of `request`, if it is another one than the bar shows."""
    parameters = request.to_parameters()
    if parameters != _parameters():
        st.query_params.from_dict(parameters)
    st.session_state[_SEEN] = st.session_state[_LAST] = parameters


def last_asked() -> dict[str, list[str]]:
    """The address of the search page as it was left; another collection was not asked yet."""
    collection = [st.session_state["collection"]] if st.session_state.get("collection") else []
    last = st.session_state.get(_LAST, {})
    if last.get("collection", collection) != collection:
        return {"collection": collection}
    return dict(last)


def load_collection() -> None:
    """For pages whose address says no more than the collection: choose it, where the address is new."""
    named = st.query_params.get("collection")
    if named is not None and named != st.session_state.get(_SEEN_COLLECTION):
        st.session_state["collection"] = named


def store_collection() -> None:
    """Write the collection into the address, where one was chosen."""
    chosen = st.session_state.get("collection", "")
    if chosen and st.query_params.get("collection") != chosen:
        st.query_params["collection"] = chosen
    st.session_state[_SEEN_COLLECTION] = chosen


def forget_filters() -> None:
    """Clear every filter; a callback, as widgets can only be set before they are drawn."""
    st.session_state["filter"] = ""
    for key in [key for key in st.session_state if str(key).startswith(PICK_PREFIX)]:
        st.session_state[key] = []


def _parameters() -> dict[str, list[str]]:
    return {name: st.query_params.get_all(name) for name in st.query_params}
