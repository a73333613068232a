"""Collections: make one, fill it by uploads or from a folder, see what it is."""

from __future__ import annotations

from typing import cast

import streamlit as st

from app.desk import keeping
from app.desk.visit import Desk
from app.facade.collections import CollectionFacts, Folder, Incoming
from app.indexing_job import IndexChoices
from app.text import plain
from app.ui import markup, place_markup, service
from app.ui.collection_parts import draw_deletion, draw_facts, draw_health, draw_jobs, draw_servings
from app.ui.entrance import desk_of_visitor
from app.ui.folder_part import draw_sources
from app.ui.notices import safely, tell
from app.ui.outside import as_label
from app.wording import format_bytes, format_count
from indexing.documents import EXTENSIONS
from indexing.errors import BadInput
from indexing.names import BUNDLED_MODEL, DEFAULT_ENGINE, DEFAULT_PRECISION, ENGINES, PRECISIONS

__all__ = ["page"]

_BATCH = "upload batch"
_REFUSED = "upload refused"
_NEW_NAME = "new name"
_PRECISIONS = {
    "float32": "float32 – exact, four times as large",
    "int8": "int8 – a quarter of the size, the same quality",
    "uint8": "uint8 – as int8",
    "binary": "binary – one bit each, the fastest",
    "ubinary": "ubinary – as binary",
}
_ENGINES = {
    "faiss": "FAISS – exact",
    "usearch": "usearch – approximate, for millions",
    "pgvector": "pgvector – approximate, in the PostgreSQL database",
    "milvus": "Milvus – approximate, beyond one machine",
}


def page() -> None:
    desk = desk_of_visitor()
    listing = service.collections(desk)
    for damaged, reason in listing.damaged.items():
        st.html(markup.failure(f"Collection {damaged!r} is left out: {reason}"))
    if not listing.names:
        st.html(
            markup.note(
                "No collection yet",
                "A collection holds documents that are searched together. Give"
                " the first one a name, then add files to it.",
            )
        )
        _draw_form(desk)
        return
    name = st.session_state.get("collection", "") or listing.names[0]
    _draw_head(desk, name, len(listing.names))
    if name not in listing.names:
        st.html(markup.failure(f"There is no collection {name!r} here. Choose another one above."))
        return
    facts = desk.ask(keeping.facts, name)
    draw_facts(facts, here=not desk.service)
    draw_jobs(desk, name, facts)
    if "manage" in desk.caller.rights:
        _draw_adding(desk, facts)
        draw_sources(desk, name)
    draw_servings(desk, facts)
    if "manage" in desk.caller.rights:
        draw_health(desk, name)
        draw_deletion(desk, facts)


def _draw_head(desk: Desk, name: str, count: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="collection-head"):
        st.html(place_markup.heading(name, format_count(count, "collection") + " here" if count > 1 else ""))
        if "manage" in desk.caller.rights:
            with st.popover("New collection", icon=":material/add:"):
                _draw_form(desk)


def _draw_form(desk: Desk) -> None:
    if "manage" not in desk.caller.rights:
        st.caption("Whoever runs this page may make one.")
        return
    with st.form("new collection", border=False):
        st.text_input(
            "Name",
            key=_NEW_NAME,
            max_chars=64,
            placeholder="notes",
            autocomplete="off",
            help="Letters, digits, dots, dashes and underscores.",
        )
        with st.expander("Model and storage"):
            models = desk.ask(keeping.models)
            st.selectbox(
                "Model",
                models.models,
                key="new model",
                format_func=plain,
                accept_new_options=models.others,
                help="Turns text into vectors. The one that comes with stlib needs no download.",
            )
            st.selectbox(
                "Stored as",
                PRECISIONS,
                key="new precision",
                index=PRECISIONS.index(DEFAULT_PRECISION),
                format_func=lambda one: _PRECISIONS.get(one, one),
            )
            st.selectbox(
                "Engine",
                ENGINES,
                key="new engine",
                index=ENGINES.index(DEFAULT_ENGINE),
                format_func=lambda one: _ENGINES.get(one, one),
            )
        st.form_submit_button("Create", type="primary", on_click=_create, args=(desk,))


def _draw_adding(desk: Desk, facts: CollectionFacts) -> None:
    folders = desk.ask(keeping.folders)
    with st.container(border=True, key="adding"):
        st.html(place_markup.section("Add documents"))
        if folders:
            place = "the service" if desk.service else "this machine"
            upload, folder = st.tabs(["Upload", as_label(f"A folder of {place}")])
            with folder:
                _draw_folders(desk, facts.info.name, folders)
            with upload:
                _draw_upload(desk, facts.info.name)
        else:
            _draw_upload(desk, facts.info.name)


def _draw_upload(desk: Desk, name: str) -> None:
    limits = desk.ask(keeping.limits)
    batch = st.session_state.setdefault(_BATCH, 0)
    with st.form("upload", border=False):
        files = st.file_uploader(
            "Files",
            type=[extension[1:] for extension in EXTENSIONS],
            accept_multiple_files=True,
            key=f"upload {batch}",  # a new key empties it
            max_upload_size=max(1, limits.file_bytes >> 20),
            label_visibility="collapsed",
        )
        with st.container(horizontal=True, vertical_alignment="center", key="upload-presses"):
            sent = st.form_submit_button("Read these files", type="primary", icon=":material/upload:")
            replace = st.checkbox(
                "Replace files of the same name",
                help="Otherwise a second file of a name is kept beside the first.",
            )
    if sent:
        with st.spinner("Storing the files"):
            _add_files(desk, name, cast(list, files or []), replace)
        st.rerun()
    refused = st.session_state.pop(_REFUSED, [])
    if refused:
        st.html(place_markup.refusals(refused))


def _draw_folders(desk: Desk, name: str, folders: list[Folder]) -> None:
    with st.form("folder", border=False):
        st.selectbox(
            "Folder",
            folders,
            key="folder",
            format_func=lambda folder: plain(folder.name),
            help="With what lies below it. Files that were read before are not read twice.",
        )
        st.form_submit_button(
            "Read this folder",
            type="primary",
            icon=":material/folder_open:",
            on_click=_add_folder,
            args=(desk, name),
        )


@safely
def _create(desk: Desk) -> None:
    state = st.session_state
    name = state[_NEW_NAME].strip()
    if not name:
        raise BadInput("The new collection has no name yet: type one, then press Create.")
    model = (state["new model"] or "").strip()
    choices = IndexChoices(
        model=None if model in ("", BUNDLED_MODEL) else model,
        precision=state["new precision"],
        engine=state["new engine"],
    )
    desk.ask(keeping.create, name, choices)
    state["collection"] = name
    state[_NEW_NAME] = ""
    tell(f"Collection {name} is made. Add documents to it now.")


@safely
def _add_files(desk: Desk, name: str, files: list, replace: bool) -> None:
    if not files:
        raise BadInput("No file is chosen yet: drop some into the box, then press Read these files.")
    incoming = [Incoming(file.name, file) for file in files]
    received, job = desk.ask(keeping.add_files, name, incoming, replace)
    st.session_state[_BATCH] += 1
    st.session_state[_REFUSED] = received.refused
    fresh = [file for file in received.stored if file.fresh]
    if job is not None:
        size = format_bytes(sum(file.bytes for file in fresh))
        tell(f"{format_count(len(fresh), 'file')} ({size}) stored; job {job.id} reads them.")
    elif received.stored:
        tell("These very files are here already.")


@safely
def _add_folder(desk: Desk, name: str) -> None:
    folder = cast(Folder, st.session_state["folder"])
    job = desk.ask(keeping.add_folder, name, folder.path)
    tell(f"Job {job.id} reads {folder.name}.")
