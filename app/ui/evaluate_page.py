"""Evaluate: choose judged questions and what to compare, watch it being measured, read what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import streamlit as st

from app.desk import measuring, working
from app.desk.measuring import Evaluation, JudgedName
from app.desk.visit import Desk
from app.facade.collections import Incoming
from app.report.judged_sets import MOST_BYTES
from app.report.precisions import MOST_DOCUMENTS
from app.report.systems import ReportChoices
from app.text import plain
from app.ui import markup, place_markup
from app.ui.choice import chosen_collection
from app.ui.entrance import desk_of_visitor
from app.ui.evaluate_history import draw_past
from app.ui.job_cards import LOOK_SECONDS, draw_job, pressed
from app.ui.notices import safely, sentences, tell
from app.wording import format_bytes
from indexing.names import PRECISIONS
from indexing.serving.history import Serving

__all__ = ["page"]

_BATCH = "judged batch"
_NAME = "judged name"


@dataclass(frozen=True)
class _Source:
    """Judged questions that can be chosen; `judged` is the name of a set, empty for what people said."""

    title: str
    judged: str
    split: str


def page() -> None:
    desk = desk_of_visitor()
    name = chosen_collection(desk)
    if name is None:
        return
    known = desk.ask(measuring.evaluation, name)
    st.html(
        place_markup.heading("Evaluate", "Compare ways of searching on questions whose answers are known.")
    )
    if "improve" in desk.caller.rights:
        _draw_choices(desk, name, known)
    if "judge" in desk.caller.rights:
        _draw_sets(desk, name, known.sets)
    _draw_jobs(desk, name)
    if known.past:
        draw_past(desk, name, known.uuid, known.past)
    else:
        st.html(
            markup.note(
                "Nothing was compared yet",
                "Choose judged questions above and press Compare. There are none? Say which answers are right"
                " on the Search page, or bring a BEIR folder as a zip.",
            )
        )


def _draw_choices(desk: Desk, name: str, known: Evaluation) -> None:
    sources = [_Source("What people said here", "", "")]
    sources += [
        _Source(f"{one.name}: {split}", one.name, split) for one in known.sets for split in one.splits
    ]
    servings = [one for one in known.servings if one.live or not one.behind]
    with st.form("compare", border=True):
        source = st.selectbox(
            "Judged questions", sources, index=len(sources) - 1, format_func=lambda one: plain(one.title)
        )
        with st.expander("What to compare"):
            st.caption(
                "Nothing chosen compares what is live in every mode, with and without a reranker, and the"
                " newest other servings. What is chosen is combined."
            )
            modes = st.multiselect("Modes", known.modes, format_func=str.capitalize, placeholder="hybrid")
            chosen = st.multiselect(
                "Servings", servings[::-1], format_func=_serving_name, placeholder="the live one"
            )
            rerankers = st.multiselect(
                "Rerankers",
                known.rerankers,
                format_func=lambda one: plain(one) or "none",
                placeholder="as the serving has it",
            )
            precisions = st.multiselect(
                "Vectors stored as",
                PRECISIONS,
                placeholder="as the serving has them",
                help=f"Measured on a copy; up to {MOST_DOCUMENTS:,} documents.",
            )
        if st.form_submit_button("Compare", type="primary", icon=":material/balance:"):
            choices = ReportChoices(modes, rerankers, [one.id for one in chosen], precisions)
            _start(desk, name, source, choices)


def _serving_name(serving: Serving) -> str:
    return plain(f"{serving.id} · {serving.note}" + (" · live" if serving.live else ""))


def _start(desk: Desk, name: str, source: _Source, choices: ReportChoices) -> None:
    with sentences():
        desk.ask(measuring.start, name, source.judged, source.split, choices)
        tell("It is being measured; this page shows it when it is done.")
        st.rerun()


def _draw_sets(desk: Desk, name: str, sets: list[JudgedName]) -> None:
    batch = st.session_state.setdefault(_BATCH, 0)
    with st.expander("Bring judged questions", expanded=False):
        st.caption(
            "A zip of a BEIR folder, or queries.jsonl with one or more .tsv files of judgments: question,"
            f" document and grade, tab-separated. At most {format_bytes(MOST_BYTES)};"
            " corpus.jsonl is not needed."
        )
        with st.form("judged", border=False):
            files = st.file_uploader(
                "Files",
                type=["zip", "jsonl", "tsv"],
                accept_multiple_files=True,
                key=f"judged files {batch}",  # a new key empties it
                max_upload_size=MOST_BYTES >> 20,
                label_visibility="collapsed",
            )
            title = st.text_input(
                "Name", key=f"{_NAME} {batch}", max_chars=64, placeholder="my-questions", autocomplete="off"
            )
            if st.form_submit_button("Keep", icon=":material/upload:"):
                _keep(desk, name, title.strip(), files or [])
        if sets:
            with st.container(horizontal=True, vertical_alignment="bottom", key="judged-presses"):
                gone = st.selectbox("Kept", sets, format_func=lambda one: plain(one.name))
                st.button(
                    "Remove",
                    icon=":material/delete:",
                    on_click=_remove,
                    args=(desk, name, gone.name),
                )


def _keep(desk: Desk, name: str, title: str, files: Sequence[BinaryIO]) -> None:
    if not files:
        st.html(markup.failure("No file was chosen: press Browse files, or drop a zip there."))
        return
    with sentences():
        kept = desk.ask(measuring.add_set, name, title, [Incoming(one.name, one) for one in files])
        st.session_state[_BATCH] += 1
        tell(f"{kept.name} is kept, with {', '.join(kept.splits)}.")
        st.rerun()


@safely
def _remove(desk: Desk, name: str, title: str) -> None:
    desk.ask(measuring.delete_set, name, title)
    tell(f"{title} is removed; reports made with it stay.")


def _draw_jobs(desk: Desk, name: str) -> None:
    """What is being measured; the page is drawn again when it has ended."""
    with st.container():
        jobs = desk.ask(measuring.running, name)
        going = {job.id for job in jobs if not job.finished}
        if going:
            st.fragment(_watch, run_every=LOOK_SECONDS)(desk, going)
        for job in jobs:
            if job.finished:
                draw_job(desk, job, brief=True)


def _watch(desk: Desk, before: set[int]) -> None:
    with sentences():
        jobs = [one for one in desk.ask(working.jobs).jobs if one.id in before]
        if pressed() or any(job.finished for job in jobs):
            st.rerun()
        for job in jobs:
            draw_job(desk, job, brief=True)
