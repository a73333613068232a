"""What stands on a page whose service does not answer, or lets nobody in; it goes on by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from app.remote.errors import KeyRefused, KeyWanted, ServiceAway
from app.ui import markup, sign_in
from app.ui.entrance import desk_of_visitor, may_type_key
from app.ui.notices import sentences
from app.ui.person_part import draw_key_box, draw_sign_out
from indexing.errors import IndexingError

__all__ = ["answered", "draw_away"]

_LOOK_SECONDS = 3.0


@contextmanager
def answered() -> Iterator[None]:
    """Whatever the body raises is shown where it would have drawn, and ends it, as `sentences` does; where a
    service does not answer, the page goes on by itself once it does.
    """
    with sentences():
        try:
            yield
        except (KeyRefused, ServiceAway) as error:
            draw_away(error)


def draw_away(error: IndexingError) -> None:
    """Why nothing is shown, and what one can do."""
    asks = isinstance(error, KeyWanted)
    st.html(markup.note("Your key, please", str(error)) if asks else markup.failure(str(error)))
    if isinstance(error, KeyRefused) and may_type_key():
        draw_key_box()
    elif isinstance(error, KeyRefused) and sign_in.is_wanted():
        draw_sign_out()  # who signs in anew gets another key
    if isinstance(error, ServiceAway):
        st.html(
            markup.aside("This page looks again every few seconds, and goes on once the service is there.")
        )
        st.fragment(_look, run_every=_LOOK_SECONDS)()
    if not asks:
        st.button("Try again", icon=":material/refresh:")


def _look() -> None:
    try:
        desk_of_visitor()
    except ServiceAway:
        return
    except IndexingError:
        pass  # somebody is there, and has something else to say
    st.rerun()
