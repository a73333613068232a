"""The parts of the page of collections: what one is, what answers for it, its health, its end."""

from __future__ import annotations

import streamlit as st

from app.desk import improving, keeping, working
from app.desk.visit import Desk
from app.facade.collections import CollectionFacts
from app.settings import host_from_environment, is_loopback
from app.ui import place_markup
from app.ui.job_cards import LOOK_SECONDS, draw_job, pressed
from app.ui.notices import safely, sentences, tell
from app.ui.outside import as_label
from app.wording import ROLE_WORDS, format_beside, format_bytes, format_count, format_model
from indexing.serving.history import Serving

__all__ = ["draw_deletion", "draw_facts", "draw_health", "draw_jobs", "draw_servings"]

_TYPED = "name to delete"
_WITH_FEEDBACK = "erase feedback too"
_SHOWN_SERVINGS = 8


def draw_facts(facts: CollectionFacts, *, here: bool) -> None:
    """How much there is, and how it is turned into answers. `here`: whether it is on this machine."""
    info = facts.info
    figures = [
        (f"{info.documents:,}", "document" if info.documents == 1 else "documents"),
        (f"{info.chunks:,}", "passage" if info.chunks == 1 else "passages"),
        (format_bytes(info.catalog_bytes + info.view_bytes), "on disk"),
    ]
    if info.memory_bytes >= 2**20:
        figures.append((format_bytes(info.memory_bytes), "in memory"))
    passages = (
        f"{info.chunking.get('max_tokens')} tokens, {info.chunking.get('overlap')} shared by neighbours"
    )
    count, size = facts.uploads
    rows = [
        ("Model", f"{format_model(info.model)}, {info.dimension} dimensions"),
        ("Stored as", f"{info.precision}, {info.engine}"),
        *((ROLE_WORDS[role].capitalize(), format_beside(**one)) for role, one in info.beside.items()),
        ("Passages", f"at most {passages}"),
        ("Reranker", info.reranker or "none"),
        ("Values out of range", f"{info.clipped_values:,}" if info.clipped_values else ""),
        ("Keyword index", f"{format_count(info.keyword_lag, 'change')} behind" if info.keyword_lag else ""),
        ("Uploaded files", f"{count:,}, {format_bytes(size)}" if count else ""),
        ("Place", info.path if here and is_loopback(host_from_environment()) else ""),
    ]
    st.html(place_markup.facts(figures, [row for row in rows if row[1]]))


def draw_jobs(desk: Desk, name: str, facts: CollectionFacts) -> None:
    """What works on the collection now; the rest of the page is drawn again when that has ended."""
    with st.container():  # there with nothing in it too: what follows keeps its place, and stays open
        if facts.jobs:
            before = {job.id for job in facts.jobs}
            st.fragment(_watch, run_every=LOOK_SECONDS)(desk, name, before)


def _watch(desk: Desk, name: str, before: set[int]) -> None:
    with sentences():
        jobs = [job for job in desk.ask(working.jobs).jobs if job.collection == name]
        if pressed() or {job.id for job in jobs if not job.finished} != before:
            st.rerun()
        for job in jobs:
            if not job.finished:
                draw_job(desk, job, brief=True)


def draw_servings(desk: Desk, facts: CollectionFacts) -> None:
    """Every way in which the collection has answered, and the way back."""
    with st.container(border=True, key="servings"):
        st.html(place_markup.section("Servings", "What decides the answers. Going back is instant."))
        st.html(place_markup.servings(facts.servings[-_SHOWN_SERVINGS:][::-1]))
        others = [one for one in facts.servings if not one.live][::-1]
        if "improve" not in desk.caller.rights or not others:
            return
        with st.container(horizontal=True, vertical_alignment="bottom", key="serving-presses"):
            chosen = st.selectbox("Serving", others, format_func=_serving_name, label_visibility="collapsed")
            st.button("Let it answer", on_click=_promote, args=(desk, facts.info.name, chosen.id))
            if len(facts.live.promotions) and facts.live.promotions[0].kind != "create":
                st.button(
                    "Roll back",
                    icon=":material/undo:",
                    on_click=_roll_back,
                    args=(desk, facts.info.name, facts.live.id),
                    help="To what answered before.",
                )


def _serving_name(serving: Serving) -> str:
    return f"{serving.id} · {serving.note}"


def draw_health(desk: Desk, name: str) -> None:
    """Whether everything is as it should be, as the last check found it."""
    checks = [job for job in desk.ask(working.jobs).jobs if job.kind == "verify" and job.collection == name]
    with st.container(border=True, key="health"):
        with st.container(horizontal=True, vertical_alignment="center", key="health-head"):
            st.html(place_markup.section("Health", "" if checks else "Never checked."))
            st.button(
                "Check now",
                icon=":material/health_and_safety:",
                on_click=_verify,
                args=(desk, name),
                disabled=bool(checks) and not checks[-1].finished,
                help="Reads everything once. Damaged indexes are made anew from the documents.",
            )
        if checks and checks[-1].finished:
            st.html(place_markup.last_check(checks[-1]))


def draw_deletion(desk: Desk, facts: CollectionFacts) -> None:
    """Deleting, by typing the name; and giving back the room of files that were read."""
    name, (count, size) = facts.info.name, facts.uploads
    with st.expander("Delete", key="deletion"):
        if count:
            st.write(
                f"{format_count(count, 'uploaded file')} ({format_bytes(size)}) lie here still, though the"
                " documents were read from them."
            )
            st.button(
                "Remove uploaded files",
                on_click=_forget_uploads,
                args=(desk, name),
                help="The documents stay, and are found as before.",
            )
        with st.form("delete", border=False):
            st.write(
                f"This deletes {format_count(facts.info.documents, 'document')} of {as_label(name)} with"
                " their indexes, every serving, and what was uploaded. There is no way back. Its jobs stay"
                " listed."
            )
            st.checkbox(
                "Erase what was asked and said of it too",
                value=True,
                key=_WITH_FEEDBACK,
                help="Otherwise searches and judgments stay on this machine.",
            )
            st.text_input(f"Type {as_label(name)} to delete it", key=_TYPED, autocomplete="off")
            st.form_submit_button(
                "Delete this collection",
                icon=":material/delete:",
                on_click=_delete,
                args=(desk, name),
            )


@safely
def _promote(desk: Desk, name: str, serving: int) -> None:
    desk.ask(improving.promote, name, serving)
    tell(f"Serving {serving} answers now.")


@safely
def _roll_back(desk: Desk, name: str, live: int) -> None:
    tell(f"Serving {desk.ask(improving.roll_back, name, live)} answers again.")


@safely
def _verify(desk: Desk, name: str) -> None:
    tell(f"Job {desk.ask(keeping.verify, name).id} checks {name}.")


@safely
def _forget_uploads(desk: Desk, name: str) -> None:
    count, size = desk.ask(keeping.forget_uploads, name)
    tell(f"{format_count(count, 'uploaded file')} removed, {format_bytes(size)}.")


@safely
def _delete(desk: Desk, name: str) -> None:
    typed = st.session_state[_TYPED]
    feedback = bool(st.session_state[_WITH_FEEDBACK])
    said = desk.ask(keeping.delete, name, typed, feedback)
    st.session_state["collection"] = ""
    tell(said)
