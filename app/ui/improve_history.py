"""Servings of a collection: what answered when, and the way back."""

from __future__ import annotations

import streamlit as st

from app.desk import improving
from app.desk.visit import Desk
from app.facade.improvement import Improvement
from app.ui import improve_markup
from app.ui.notices import safely, tell

__all__ = ["draw_history"]


def draw_history(desk: Desk, name: str, state: Improvement) -> None:
    st.html(improve_markup.section("What answered when", "Each of these can answer again at once."))
    st.html(improve_markup.history(state.servings))
    if "improve" not in desk.caller.rights or len(state.servings) < 2:
        return
    with st.container(horizontal=True, key="ways-back"):
        if any(event.kind != "create" for event in state.live.promotions):
            with st.popover("Roll back", icon=":material/undo:"):
                st.write("What answered before answers again, for everybody and at once.")
                st.button(
                    "Yes, roll back",
                    type="primary",
                    on_click=_roll_back,
                    args=(desk, name, state.live.id),
                )
        # What a person names is promoted as it is; what was learned and has not passed needs a reason.
        others = {one.id: one.note for one in reversed(state.servings) if not one.live and _is_free(one.gate)}
        if others:
            with st.popover("Let another one answer", icon=":material/swap_horiz:"):
                chosen = st.selectbox(
                    "Serving", others, format_func=lambda one: f"{one} · {others[one]}", key="other serving"
                )
                st.button(
                    "Let it answer",
                    type="primary",
                    on_click=_promote,
                    args=(desk, name, chosen),
                )


def _is_free(gate: dict | None) -> bool:
    return gate is None or gate.get("verdict") == "passed"


@safely
def _roll_back(desk: Desk, name: str, live: int) -> None:
    tell(f"Serving {desk.ask(improving.roll_back, name, live)} answers again.")


@safely
def _promote(desk: Desk, name: str, serving: int) -> None:
    desk.ask(improving.promote, name, serving)
    tell(f"Serving {serving} answers now.")
