"""Improve: what people said, learning from it, what it would gain, and letting it answer or not."""

from __future__ import annotations

import streamlit as st

from app.desk import improving, searching
from app.desk.visit import Desk
from app.facade.improvement import Improvement
from app.feedback.judged import JudgedSet
from app.ui import improve_markup, service
from app.ui.choice import chosen_collection
from app.ui.entrance import desk_of_visitor
from app.ui.improve_candidate import draw_candidate
from app.ui.improve_history import draw_history
from app.ui.improve_labels import draw_labels
from app.ui.improve_levers import draw_levers

__all__ = ["page"]


def page() -> None:
    desk = desk_of_visitor()
    name = chosen_collection(desk)
    if name is None:
        return
    uuid = desk.ask(searching.outline, name).uuid
    state = desk.ask(improving.state, name)
    st.html(
        improve_markup.heading("Improve", "Learn from what people say of the answers, and prove it first.")
    )
    if not state.status.judgments:
        st.html(improve_markup.nothing_said())
    elif "judge" in desk.caller.rights:
        judged = service.judged(desk, name, uuid, (state.status.sayings, state.status.events))
        draw_said(desk, name, state, judged)
    if state.status.judgments and "improve" in desk.caller.rights:
        draw_levers(desk, name, uuid, state)
    draw_candidate(desk, name, state)
    if state.status.impressions + state.status.judgments and "judge" in desk.caller.rights:
        draw_labels(desk, name, service.to_judge(desk, name, uuid, state))
    draw_history(desk, name, state)


def draw_said(desk: Desk, name: str, state: Improvement, judged: JudgedSet) -> None:
    """How much was said, by whom, and whether they agree: for those who judge."""
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
    with st.expander("Who said it, and where they disagree"):
        st.html(improve_markup.people(desk.ask(improving.people, name)))
        st.html(improve_markup.disagreement(judged, state.status))
