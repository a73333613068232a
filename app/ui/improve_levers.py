"""Learning: which lever, how long it takes, and what is found while it lasts."""

from __future__ import annotations

import re

import streamlit as st

from app.desk import improving, working
from app.desk.visit import Desk
from app.facade.improvement import Improvement
from app.facade.jobs import Job
from app.facade.tuning import LEVERS
from app.jobs.model import DONE
from app.ui import gate_markup, improve_markup, service
from app.ui.job_cards import LOOK_SECONDS, draw_job, pressed
from app.ui.notices import draw_notices, safely, sentences, tell

__all__ = ["draw_levers", "gains_of"]

_LEVER = "lever"
_NAMES = {
    "auto": "Everything that is quick, kept where it helps",
    "ranking": "Ranking: what counts how much",
    "memory": "Memory: answers of similar questions",
    "query": "Query side: how questions are read",
    "reranker": "Reranker: reads the best answers again",
    "full": "Full model: everything anew, and a reindex",
}
_GAIN = re.compile(r"(?:^| INFO )(?P<lever>[\w-]+), .*: (?P<gain>[+-]?\d+\.\d+)$")


def draw_levers(desk: Desk, name: str, uuid: str, state: Improvement) -> None:
    st.html(
        improve_markup.section(
            "Learn from it",
            "Makes a candidate beside what answers now, and tests it on questions it has not seen. Nobody"
            " notices before you promote it.",
        )
    )
    job = state.job
    if job is not None and not job.finished:
        st.fragment(_watch, run_every=LOOK_SECONDS)(desk, name)
        return
    if job is not None and job.state != DONE:
        draw_job(desk, job, brief=True)
    said = (state.status.sayings, state.status.events)
    seconds = service.tuning_seconds(desk, name, uuid, said)
    with st.container(horizontal=True, vertical_alignment="bottom", key="levers"):
        st.selectbox(
            "What is tried",
            LEVERS,
            key=_LEVER,
            format_func=lambda one: f"{_NAMES.get(one, one)}{_about(seconds.get(one))}",
        )
        st.button(
            "Improve",
            type="primary",
            icon=":material/trending_up:",
            on_click=_start,
            args=(desk, name),
        )


def gains_of(lines: list[str]) -> dict[str, list[float]]:
    """Lever → the gains that its job wrote down, in their order."""
    found: dict[str, list[float]] = {}
    for match in filter(None, map(_GAIN.search, lines)):
        found.setdefault(match["lever"], []).append(float(match["gain"]))
    return found


def _watch(desk: Desk, name: str) -> None:
    """The job while it lasts; the rest of the page is drawn again when it has ended."""
    with sentences():
        draw_notices()
        job: Job | None = desk.ask(improving.tuning_job, name)
        if pressed() or job is None or job.finished:
            st.rerun()
        draw_job(desk, job, brief=True)
        st.html(gate_markup.curves(gains_of(desk.ask(working.log, job.id))))


def _about(seconds: float | None) -> str:
    """How long it takes, in the words of somebody who waits."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f" – about {max(5, 5 * round(seconds / 5))} s"
    return f" – about {round(seconds / 60)} min"


@safely
def _start(desk: Desk, name: str) -> None:
    job = desk.ask(improving.tune, name, st.session_state[_LEVER])
    tell(f"Job {job.id} learns from what was said.")
