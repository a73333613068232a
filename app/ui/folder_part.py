"""The folders of a collection on its page: where they are, when they were read, and reading them again."""

from __future__ import annotations

import streamlit as st

from app.facade.caller import Caller
from app.facade.sources import folders_of, start_sync
from app.settings import Location
from app.ui import place_markup
from app.ui.notices import safely, tell

__all__ = ["draw_sources"]

_PRUNE = "prune"


def draw_sources(caller: Caller, location: Location, name: str) -> None:
    """Nothing where the collection was read from no folder."""
    sources = folders_of(caller, location, name)
    if not sources:
        return
    with st.container(border=True, key="sources"):
        st.html(place_markup.section("Folders") + place_markup.sources(sources))
        with st.container(horizontal=True, vertical_alignment="center", key="sources-presses"):
            st.button(
                "Read what changed",
                icon=":material/sync:",
                on_click=_sync,
                args=(caller, location, name),
                disabled=not all(source.confirmed for source in sources),
                help="Files that did not change are not opened. A renamed file keeps what was said of it.",
            )
            st.checkbox(
                "Remove what is gone",
                key=_PRUNE,
                help="Documents that are no longer in their files. If they are many, nothing is removed.",
            )


@safely
def _sync(caller: Caller, location: Location, name: str) -> None:
    job = start_sync(caller, location, name, prune=bool(st.session_state.get(_PRUNE)))
    tell(f"Job {job.id} reads what changed.")
