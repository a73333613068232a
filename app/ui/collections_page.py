"""Collections: make one, fill it by uploads or from a folder, see what it is."""

from __future__ import annotations

from typing import cast

import streamlit as st

from app.facade.caller import Caller
from app.facade.collections import (
    CollectionFacts,
    Folder,
    Incoming,
    add_files,
    add_folder,
    collection_facts,
    create_collection,
    folders_to_choose,
    models_to_choose,
)
from app.indexing_job import IndexChoices
from app.settings import Location, host_from_environment, is_loopback, upload_limits
from app.text import plain
from app.ui import markup, place_markup, service
from app.ui.collection_parts import draw_deletion, draw_facts, draw_health, draw_jobs, draw_servings
from app.ui.folder_part import draw_sources
from app.ui.notices import safely, tell
from app.ui.visitor import visitor
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
_ENGINES = {"faiss": "FAISS – exact", "usearch": "usearch – approximate, for millions"}


def page() -> None:
    caller, location = visitor(), Location.from_environment()
    listing = service.collections(location)
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
        _draw_form(caller, location)
        return
    name = st.session_state.get("collection", "") or listing.names[0]
    _draw_head(caller, location, name, len(listing.names))
    if name not in listing.names:
        st.html(markup.failure(f"There is no collection {name!r} here. Choose another one above."))
        return
    collection = service.open_collection(location, name)
    facts = collection_facts(caller, location, collection)
    draw_facts(facts)
    draw_jobs(caller, location, name, facts)
    if "manage" in caller.rights:
        _draw_adding(caller, location, facts)
        draw_sources(caller, location, name)
    draw_servings(caller, location, facts)
    if "manage" in caller.rights:
        draw_health(caller, location, name)
        draw_deletion(caller, location, facts)


def _draw_head(caller: Caller, location: Location, name: str, count: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="collection-head"):
        st.html(place_markup.heading(name, format_count(count, "collection") + " here" if count > 1 else ""))
        if "manage" in caller.rights:
            with st.popover("New collection", icon=":material/add:"):
                _draw_form(caller, location)


def _draw_form(caller: Caller, location: Location) -> None:
    if "manage" not in caller.rights:
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
            # A page of this machine alone takes any folder or name; one that others reach what was used here.
            st.selectbox(
                "Model",
                models_to_choose(),
                key="new model",
                format_func=plain,
                accept_new_options=is_loopback(host_from_environment()),
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
        st.form_submit_button("Create", type="primary", on_click=_create, args=(caller, location))


def _draw_adding(caller: Caller, location: Location, facts: CollectionFacts) -> None:
    folders = folders_to_choose(caller)
    with st.container(border=True, key="adding"):
        st.html(place_markup.section("Add documents"))
        if folders:
            upload, folder = st.tabs(["Upload", "A folder of this machine"])
            with folder:
                _draw_folders(caller, location, facts.info.name, folders)
            with upload:
                _draw_upload(caller, location, facts.info.name)
        else:
            _draw_upload(caller, location, facts.info.name)


def _draw_upload(caller: Caller, location: Location, name: str) -> None:
    limits = upload_limits()
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
            _add_files(caller, location, name, cast(list, files or []), replace)
        st.rerun()
    refused = st.session_state.pop(_REFUSED, [])
    if refused:
        st.html(place_markup.refusals(refused))


def _draw_folders(caller: Caller, location: Location, name: str, folders: list[Folder]) -> None:
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
            args=(caller, location, name),
        )


@safely
def _create(caller: Caller, location: Location) -> None:
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
    create_collection(caller, location, name, choices)
    state["collection"] = name
    state[_NEW_NAME] = ""
    tell(f"Collection {name} is made. Add documents to it now.")


@safely
def _add_files(caller: Caller, location: Location, name: str, files: list, replace: bool) -> None:
    if not files:
        raise BadInput("No file is chosen yet: drop some into the box, then press Read these files.")
    received, job = add_files(
        caller, location, name, [Incoming(file.name, file) for file in files], replace=replace
    )
    st.session_state[_BATCH] += 1
    st.session_state[_REFUSED] = received.refused
    fresh = [file for file in received.stored if file.fresh]
    if job is not None:
        size = format_bytes(sum(file.bytes for file in fresh))
        tell(f"{format_count(len(fresh), 'file')} ({size}) stored; job {job.id} reads them.")
    elif received.stored:
        tell("These very files are here already.")


@safely
def _add_folder(caller: Caller, location: Location, name: str) -> None:
    folder = cast(Folder, st.session_state["folder"])
    job = add_folder(caller, location, name, folder.path)
    tell(f"Job {job.id} reads {folder.name}.")
