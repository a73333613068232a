"""Jobs as they stand on a page: what each does, how far it is, what became of it, and what one may do."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from app.desk import working
from app.desk.visit import Desk
from app.facade.jobs import Job, right_of
from app.jobs.model import CANCELLED, DONE, FAILED, INTERRUPTED, QUEUED, RUNNING
from app.jobs.words import say_result, say_state, say_title
from app.ui.notices import safely, tell
from app.ui.outside import as_html, isolate

__all__ = ["LOOK_SECONDS", "draw_job", "job_note", "pressed"]

LOOK_SECONDS = 1.5
"""How often a page looks while something runs: often enough to be believed, and nothing to a server."""

_PRESSED = "job pressed"
_MARKS = {
    QUEUED: "wait",
    RUNNING: "run",
    DONE: "good",
    FAILED: "bad",
    INTERRUPTED: "warn",
    CANCELLED: "still",
}
_SHOWN_LINES = 40


def draw_job(desk: Desk, job: Job, *, known: bool = True, brief: bool = False) -> None:
    """One job in a frame. In a home that is not `known` what waits may be begun; `brief`, as beside other
    things, it has no log.
    """
    with st.container(border=True, key=f"job-{job.id}{'-brief' if brief else ''}"):
        st.html(_head(job))
        if job.state == RUNNING:
            share = min(1.0, job.done / job.total) if job.total else 0.0
            st.progress(share)
        _draw_presses(desk, job, known, brief)
        if not brief and right_of(job.kind) in desk.caller.rights:
            _draw_log(desk, job)


def pressed() -> bool:
    """Whether something was pressed on a job since this was asked last: what stands elsewhere on the page is
    old then.
    """
    return bool(st.session_state.pop(_PRESSED, False))


def job_note(message: str) -> str:
    """A remark about all jobs, as HTML."""
    return f'<div class="st-hints" role="status"><p>{as_html(message)}</p></div>'


def _head(job: Job) -> str:
    lines = "".join(f"<div dir='auto'>{as_html(line)}</div>" for line in say_result(job))
    result = f'<div class="st-said">{lines}</div>' if lines else ""
    given = f"{_when(job.created)}{f' by {job.who}' if job.who else ''}"
    return (
        '<div class="st-job"><div class="st-job-title">'
        f'<span class="st-state st-{_MARKS[job.state]}">{as_html(job.state)}</span>'
        f'<span class="st-job-name" role="heading" aria-level="2">{as_html(say_title(job))}'
        f' · {isolate(job.collection)}</span><span class="st-rank">#{job.id}</span></div>'
        f'<p class="st-job-says">{as_html(say_state(job))}</p>{result}'
        f'<p class="st-job-given">Given {isolate(given)}</p></div>'
    )


def _draw_presses(desk: Desk, job: Job, known: bool, brief: bool) -> None:
    if right_of(job.kind) not in desk.caller.rights or job.state == DONE:
        return
    suffix = f"{job.id}{'-brief' if brief else ''}"
    with st.container(horizontal=True, key=f"presses-{suffix}"):
        if job.state in (QUEUED, RUNNING) and not job.cancel_requested:
            st.button(
                "Cancel",
                key=f"cancel-{suffix}",
                icon=":material/stop_circle:",
                on_click=_cancel,
                args=(desk, job.id),
                help="Ends it after its next commit; what it stored stays.",
            )
        if job.state == RUNNING and job.cancel_requested:
            st.button(
                "Stop at once",
                key=f"kill-{suffix}",
                icon=":material/dangerous:",
                on_click=_cancel,
                args=(desk, job.id),
                kwargs={"force": True},
                help="Ends its process without waiting; what it stored stays.",
            )
        if job.state in (INTERRUPTED, CANCELLED, FAILED) or (job.state == QUEUED and not known):
            st.button(
                "Resume",
                key=f"resume-{suffix}",
                icon=":material/play_arrow:",
                on_click=_resume,
                args=(desk, job.id),
                help="Goes on where it was.",
            )


def _draw_log(desk: Desk, job: Job) -> None:
    shown = f"log shown {job.id}"
    if st.session_state.get(shown):
        lines = desk.ask(working.log, job.id)[-_SHOWN_LINES:]
        text = as_html("\n".join(lines), prose=True) or "It wrote nothing yet."
        st.html(f'<pre class="st-log" tabindex="0" aria-label="Log of job {job.id}">{text}</pre>')
    st.toggle("Log", key=shown)


@safely
def _cancel(desk: Desk, id_: int, force: bool = False) -> None:
    st.session_state[_PRESSED] = True
    job = desk.ask(working.cancel, id_, force)
    tell(f"Job {id_} is {job.state}." if job.finished else f"Job {id_} ends after its next commit.")


@safely
def _resume(desk: Desk, id_: int) -> None:
    st.session_state[_PRESSED] = True
    desk.ask(working.resume, id_)
    tell(f"Job {id_} goes on.")


def _when(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M}"
