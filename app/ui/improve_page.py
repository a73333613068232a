"""Improve: what people said, learning from it, what it would gain, and letting it answer or not."""

from __future__ import annotations

import streamlit as st

from app.facade.caller import Caller
from app.facade.improvement import Improvement, improvement, people_of
from app.feedback.judged import JudgedSet
from app.settings import Location
from app.ui import improve_markup, service
from app.ui.choice import chosen_collection
from app.ui.improve_candidate import draw_candidate
from app.ui.improve_history import draw_history
from app.ui.improve_labels import draw_labels
from app.ui.improve_levers import draw_levers
from app.ui.visitor import visitor
from indexing import Collection

__all__ = ["page"]


def page() -> None:
    name = chosen_collection()
    if name is None:
        return
    caller, location = visitor(), Location.from_environment()
    collection = service.open_collection(location, name)
    state = improvement(caller, location, collection)
    st.html(
        improve_markup.heading("Improve", "Learn from what people say of the answers, and prove it first.")
    )
    if not state.status.judgments:
        st.html(improve_markup.nothing_said())
    else:
        judged = service.judged(caller, location, collection, (state.status.sayings, state.status.events))
        draw_said(caller, location, collection, state, judged)
    if state.status.judgments and "improve" in caller.rights:
        draw_levers(caller, location, collection, state)
    draw_candidate(caller, location, collection, state)
    if state.status.impressions + state.status.judgments and "judge" in caller.rights:
        draw_labels(caller, location, collection, service.to_judge(caller, location, collection, state))
    draw_history(caller, location, collection, state)


def draw_said(
    caller: Caller, location: Location, collection: Collection, state: Improvement, judged: JudgedSet
) -> None:
    """How much was said, by whom, and whether they agree."""
    agreement = judged.agreement
    answered = sum(question.answered for question in judged.questions)
    same = "–" if agreement.same is None else f"{100 * agreement.same:.0f} %"
    st.html(
        improve_markup.figures(
            [
                (f"{answered:,}", "questions with a known answer"),
                (f"{state.status.judgments:,}", "judgments"),
                (f"{state.status.people:,}", "people"),
                (same, "agree where two or more judged"),
            ]
        )
    )
    if "judge" in caller.rights:
        with st.expander("Who said it, and where they disagree"):
            st.html(improve_markup.people(people_of(caller, location, collection)))
            st.html(improve_markup.disagreement(judged, state.status))
