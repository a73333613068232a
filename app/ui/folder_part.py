"""The folders of a collection on its page: where they are, when they were read, and reading them again."""

from __future__ import annotations

import streamlit as st

from app.desk import keeping
from app.desk.visit import Desk
from app.ui import place_markup
from app.ui.notices import safely, tell

__all__ = ["draw_sources"]

_PRUNE = "prune"


def draw_sources(desk: Desk, name: str) -> None:
    """Nothing where the collection was read from no folder."""
    sources = desk.ask(keeping.folders_of, name)
    if not sources:
        return
    with st.container(border=True, key="sources"):
        st.html(place_markup.section("Folders") + place_markup.sources(sources))
        with st.container(horizontal=True, vertical_alignment="center", key="sources-presses"):
            st.button(
                "Read what changed",
                icon=":material/sync:",
                on_click=_sync,
                args=(desk, name),
                disabled=not all(source.confirmed for source in sources),
                help="Files that did not change are not opened. A renamed file keeps what was said of it.",
            )
            st.checkbox(
                "Remove what is gone",
                key=_PRUNE,
                help="Documents that are no longer in their files. If they are many, nothing is removed.",
            )


@safely
def _sync(desk: Desk, name: str) -> None:
    job = desk.ask(keeping.sync, name, bool(st.session_state.get(_PRUNE)))
    tell(f"Job {job.id} reads what changed.")
