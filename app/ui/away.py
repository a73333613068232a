"""What stands on a page whose service does not answer, or lets nobody in; it goes on by itself."""

from __future__ import annotations

import streamlit as st

from app.remote.errors import KeyRefused, ServiceAway
from app.ui import markup
from app.ui.entrance import desk_of_visitor, may_type_key
from app.ui.person_part import draw_key_box
from indexing.errors import IndexingError

__all__ = ["draw_away"]

_LOOK_SECONDS = 3.0


def draw_away(error: IndexingError) -> None:
    """Why nothing is shown, and what one can do."""
    st.html(markup.failure(str(error)))
    if isinstance(error, KeyRefused) and may_type_key():
        draw_key_box()
    if isinstance(error, ServiceAway):
        st.caption("This page looks again every few seconds, and goes on once the service is there.")
        st.fragment(_look, run_every=_LOOK_SECONDS)()
    st.button("Try again", icon=":material/refresh:")


def _look() -> None:
    try:
        desk_of_visitor()
    except ServiceAway:
        return
    except IndexingError:
        pass  # somebody is there, and has something else to say
    st.rerun()
