"""The jobs of a home: what runs, what waits, what became of the others. It looks again while one runs."""

from __future__ import annotations

import streamlit as st

from app.desk import working
from app.desk.visit import Desk
from app.desk.working import Jobs
from app.jobs.model import QUEUED
from app.ui import markup
from app.ui.entrance import desk_of_visitor
from app.ui.job_cards import LOOK_SECONDS, draw_job, job_note, pressed
from app.ui.notices import sentences

__all__ = ["page"]

_SHOWN = 20
_MORE = "jobs shown"


def page() -> None:
    desk = desk_of_visitor()
    found = desk.ask(working.jobs)
    if not found.jobs:
        st.html(
            markup.note(
                "No jobs yet",
                "Add documents to a collection, evaluate it or improve it: such work"
                " runs as a job, which goes on when this page is closed, and is shown here.",
            )
        )
        return
    busy = _any_busy(found)
    st.fragment(_draw, run_every=LOOK_SECONDS if busy else None)(desk, busy)


def _draw(desk: Desk, was_busy: bool) -> None:
    with sentences():
        found = desk.ask(working.jobs)
        jobs = found.jobs
        if pressed() or _any_busy(found) != was_busy:
            st.rerun()  # the whole page, which sets anew how often this looks
        if any(job.state == QUEUED for job in jobs):
            _draw_reason(found)
        open_ones = [job for job in jobs if not job.finished]
        ended = [job for job in reversed(jobs) if job.finished]
        shown = st.session_state.get(_MORE, _SHOWN)
        for job in [*open_ones, *ended[:shown]]:
            draw_job(desk, job, known=found.known)
        if len(ended) > shown:
            st.button("Show older jobs", on_click=_show_more, width="stretch")


def _draw_reason(found: Jobs) -> None:
    """Why queued jobs may wait for more than their turn."""
    if not found.known:
        st.html(
            job_note(
                "These jobs came with a copied home: press Resume on one that you trust. The others stay."
            )
        )
    elif not found.worker:
        st.html(
            job_note(
                "No worker looks after these jobs at the moment: start one with `stlib worker`, or look"
                " whether its container runs."
            )
        )


def _any_busy(found: Jobs) -> bool:
    """Whether something changes by itself: jobs that wait for a person do not."""
    return any(not job.finished for job in found.jobs) and found.known


def _show_more() -> None:
    st.session_state[_MORE] = st.session_state.get(_MORE, _SHOWN) + 3 * _SHOWN
