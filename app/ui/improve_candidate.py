"""What was learned last: the gate's report on it, and what a person does with it."""

from __future__ import annotations

import streamlit as st

from app.desk import improving
from app.desk.visit import Desk
from app.facade.improvement import Improvement, report_of
from app.tuning.gate.model import GateReport
from app.ui import gate_markup, improve_markup, markup
from app.ui.notices import safely, tell
from indexing.errors import BadInput
from indexing.serving.history import Serving

__all__ = ["draw_candidate"]

_REASON = "reason of an override"


def draw_candidate(desk: Desk, name: str, state: Improvement) -> None:
    draw_trial(desk, name, state)
    run = state.last
    if run is None:
        return
    st.html(improve_markup.section("What was learned last"))
    report = report_of(run)
    serving = next((one for one in state.servings if one.id == run.candidate), None)
    if report is None or serving is None:
        st.html(gate_markup.nothing_learned(run))
        return
    st.html(gate_markup.verdict(report))
    if "improve" in desk.caller.rights:
        _draw_decisions(desk, name, state, serving, report)
    st.html(gate_markup.metrics(report))
    with st.expander("Question by question, both answers side by side"):
        shown = {
            one
            for change in report.questions
            for one in (*change.answers_before[:5], *change.answers_after[:5])
        }
        titles = {
            one: document.title
            for one, document in desk.ask(improving.documents, name, sorted(shown)).items()
            if document.title
        }
        st.html(gate_markup.wins_and_losses(report.questions, titles))


def draw_trial(desk: Desk, name: str, state: Improvement) -> None:
    """The trial that goes on: what it says so far, and its end."""
    if state.tried is None:
        return
    may_end = "improve" in desk.caller.rights
    report = desk.ask(improving.trial, name)
    if report is None:
        return
    st.html(improve_markup.section("On trial"))
    st.html(gate_markup.trial(report))
    if may_end and report.outcome is None:
        with st.popover("End the trial", icon=":material/stop_circle:"):
            st.write("What is live answers alone again, whatever the trial says so far.")
            st.button("Yes, end it", type="primary", on_click=_end_trial, args=(desk, name))


def _draw_decisions(
    desk: Desk,
    name: str,
    state: Improvement,
    serving: Serving,
    report: GateReport,
) -> None:
    """What can be done with a candidate; each asks once more, as others see what comes of it."""
    if serving.live:
        st.html(markup.hints([f"Serving {serving.id} answers now. Roll back below if it should not."]))
        return
    given = (desk, name, serving.id)
    with st.container(horizontal=True, key="decisions"):
        if report.passed:
            with st.popover("Promote", icon=":material/rocket_launch:", type="primary"):
                st.write(
                    "Everybody who searches here gets its answers from now on. Rolling back is one press."
                )
                st.button("Yes, let it answer", type="primary", on_click=_promote, args=given)
        if state.tried is None:
            with st.popover("Try it on live searches", icon=":material/balance:"):
                st.write(
                    "Its answers are mixed with those of today, nobody sees which are whose, and what people"
                    " open decides. It ends by itself when that is clear."
                )
                st.button("Begin the trial", type="primary", on_click=_begin_trial, args=given)
        if not report.passed:
            with st.popover("Promote anyway", icon=":material/gavel:"):
                st.write(
                    "The gate did not pass it. Say why it shall answer; the history keeps it with your name."
                )
                st.text_input("Reason", key=_REASON, max_chars=300, autocomplete="off")
                st.button("Promote against the gate", type="primary", on_click=_override, args=given)


@safely
def _promote(desk: Desk, name: str, serving: int) -> None:
    desk.ask(improving.promote, name, serving)
    tell(f"Serving {serving} answers now.")


@safely
def _override(desk: Desk, name: str, serving: int) -> None:
    reason = st.session_state[_REASON].strip()
    if not reason:
        raise BadInput("A promotion against the gate needs a reason: write one, then press again.")
    desk.ask(improving.promote, name, serving, reason)
    tell(f"Serving {serving} answers now.")


@safely
def _begin_trial(desk: Desk, name: str, serving: int) -> None:
    desk.ask(improving.begin_trial, name, serving)
    tell(f"Serving {serving} is on trial.")


@safely
def _end_trial(desk: Desk, name: str) -> None:
    desk.ask(improving.end_trial, name)
    tell("The trial is over.")
