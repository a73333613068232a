"""Evaluate: choose judged questions and what to compare, watch it being measured, read what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import streamlit as st

from app.facade.caller import Caller
from app.facade.jobs import list_jobs
from app.facade.reports import (
    add_judged_set,
    delete_judged_set,
    judged_sets,
    past_reports,
    rerankers_to_choose,
    running_reports,
    start_report,
)
from app.report.judged_sets import MOST_BYTES, JudgedFolder
from app.report.judgments import FEEDBACK
from app.report.precisions import MOST_DOCUMENTS
from app.report.systems import ReportChoices
from app.settings import Location
from app.text import plain
from app.ui import markup, place_markup, service
from app.ui.choice import chosen_collection
from app.ui.evaluate_history import draw_past
from app.ui.job_cards import LOOK_SECONDS, draw_job, pressed
from app.ui.notices import safely, sentences, tell
from app.ui.visitor import visitor
from app.wording import format_bytes
from indexing import Collection
from indexing.names import PRECISIONS
from indexing.serving.history import Serving

__all__ = ["page"]

_BATCH = "judged batch"
_NAME = "judged name"


@dataclass(frozen=True)
class _Source:
    """Judged questions that can be chosen."""

    title: str
    source: str
    split: str


def page() -> None:
    name = chosen_collection()
    if name is None:
        return
    caller, location = visitor(), Location.from_environment()
    collection = service.open_collection(location, name)
    sets = judged_sets(caller, location, collection.uuid)
    past = past_reports(caller, location, collection.uuid)
    st.html(
        place_markup.heading("Evaluate", "Compare ways of searching on questions whose answers are known.")
    )
    if "improve" in caller.rights:
        _draw_choices(caller, location, collection, sets)
    if "judge" in caller.rights:
        _draw_sets(caller, location, collection, sets)
    _draw_jobs(caller, location, name)
    if past:
        draw_past(caller, location, collection.uuid, past)
    else:
        st.html(
            markup.note(
                "Nothing was compared yet",
                "Choose judged questions above and press Compare. There are none? Say which answers are right"
                " on the Search page, or bring a BEIR folder as a zip.",
            )
        )


def _draw_choices(
    caller: Caller, location: Location, collection: Collection, sets: list[JudgedFolder]
) -> None:
    sources = [_Source("What people said here", FEEDBACK, "")]
    sources += [_Source(f"{one.name}: {split}", str(one.path), split) for one in sets for split in one.splits]
    servings = [one for one in collection.servings() if one.live or not one.behind]
    with st.form("compare", border=True):
        source = st.selectbox(
            "Judged questions", sources, index=len(sources) - 1, format_func=lambda one: plain(one.title)
        )
        with st.expander("What to compare"):
            st.caption(
                "Nothing chosen compares what is live in every mode, with and without a reranker, and the"
                " newest other servings. What is chosen is combined."
            )
            modes = st.multiselect(
                "Modes", collection.modes, format_func=str.capitalize, placeholder="hybrid"
            )
            chosen = st.multiselect(
                "Servings", servings[::-1], format_func=_serving_name, placeholder="the live one"
            )
            rerankers = st.multiselect(
                "Rerankers",
                rerankers_to_choose(collection),
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
            _start(caller, location, collection.name, source, choices)


def _serving_name(serving: Serving) -> str:
    return plain(f"{serving.id} · {serving.note}" + (" · live" if serving.live else ""))


def _start(caller: Caller, location: Location, name: str, source: _Source, choices: ReportChoices) -> None:
    with sentences():
        start_report(caller, location, name, source.source, source.split, choices)
        tell("It is being measured; this page shows it when it is done.")
        st.rerun()


def _draw_sets(caller: Caller, location: Location, collection: Collection, sets: list[JudgedFolder]) -> None:
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
                _keep(caller, location, collection, title.strip(), files or [])
        if sets:
            with st.container(horizontal=True, vertical_alignment="bottom", key="judged-presses"):
                gone = st.selectbox("Kept", sets, format_func=lambda one: plain(one.name))
                st.button(
                    "Remove",
                    icon=":material/delete:",
                    on_click=_remove,
                    args=(caller, location, collection.uuid, gone.name),
                )


def _keep(
    caller: Caller, location: Location, collection: Collection, title: str, files: Sequence[BinaryIO]
) -> None:
    if not files:
        st.html(markup.failure("No file was chosen: press Browse files, or drop a zip there."))
        return
    with sentences():
        kept = add_judged_set(caller, location, collection.uuid, title, [(one.name, one) for one in files])
        st.session_state[_BATCH] += 1
        tell(f"{kept.name} is kept, with {', '.join(kept.splits)}.")
        st.rerun()


@safely
def _remove(caller: Caller, location: Location, uuid: str, name: str) -> None:
    delete_judged_set(caller, location, uuid, name)
    tell(f"{name} is removed; reports made with it stay.")


def _draw_jobs(caller: Caller, location: Location, name: str) -> None:
    """What is being measured; the page is drawn again when it has ended."""
    with st.container():
        jobs = running_reports(caller, location, name)
        going = {job.id for job in jobs if not job.finished}
        if going:
            st.fragment(_watch, run_every=LOOK_SECONDS)(caller, location, name, going)
        for job in jobs:
            if job.finished:
                draw_job(caller, location, job, brief=True)


def _watch(caller: Caller, location: Location, name: str, before: set[int]) -> None:
    with sentences():
        jobs = [one for one in list_jobs(location, caller=caller) if one.id in before]
        if pressed() or any(job.finished for job in jobs):
            st.rerun()
        for job in jobs:
            draw_job(caller, location, job, brief=True)
