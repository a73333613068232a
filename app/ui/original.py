"""The file that a result is from, in a window over the page: what `app.facade.originals` lets be shown."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app.desk import searching
from app.desk.searching import OriginalFile
from app.desk.visit import Desk
from app.facade.originals import MOST_BYTES
from app.ui import markup, original_markup, scripts
from app.ui.notices import sentences
from app.ui.outside import as_label
from indexing import Result

__all__ = ["show_original"]

_PAGE = "original page"
_KEPT = "original kept"  # the file to keep: read again for another one only


def show_original(desk: Desk, name: str, result: Result) -> None:
    """Opens the window, at the page or the line of `result`."""
    st.session_state[_PAGE] = result.place.page or 1
    st.session_state.pop(_KEPT, None)

    def draw() -> None:
        with sentences():
            original = desk.ask(searching.find_original, name, result.id)
            st.html(original_markup.original_path(original.path))
            _WAYS[original.kind](desk, name, result)
            _draw_download(desk, name, original, result)

    st.dialog(as_label(result.title or result.id), width="large")(draw)()


def _draw_pages(desk: Desk, name: str, result: Result) -> None:
    picture = desk.ask(searching.original_page, name, result.id, st.session_state[_PAGE], result.snippet.text)
    with st.container(horizontal=True, vertical_alignment="center", key="original-pages"):
        _draw_turn("Page before", ":material/chevron_left:", picture.page - 1, picture.page > 1)
        st.html(original_markup.page_count(picture.page, picture.pages))
        _draw_turn("Next page", ":material/chevron_right:", picture.page + 1, picture.page < picture.pages)
    st.html(original_markup.page_picture(picture))


def _draw_turn(label: str, icon: str, page: int, can: bool) -> None:
    st.button(
        as_label(label),
        icon=icon,
        key=f"turn {label}",
        type="tertiary",
        disabled=not can,
        on_click=_turn,
        args=(page,),
    )


def _turn(page: int) -> None:
    st.session_state[_PAGE] = page


def _draw_lines(desk: Desk, name: str, result: Result) -> None:
    lines = desk.ask(searching.original_lines, name, result.id, result.place.line, result.snippet.text)
    st.html(original_markup.listing(lines))
    st.html(scripts.listing_script(), unsafe_allow_javascript=True)


def _draw_nothing(desk: Desk, name: str, result: Result) -> None:
    st.html(markup.note("Not shown here", "A program of yours opens this kind of file: download it."))


def _draw_download(desk: Desk, name: str, original: OriginalFile, result: Result) -> None:
    """Streamlit hands it out as an attachment, under a type that no browser renders."""
    if original.size > MOST_BYTES:
        return
    kept = st.session_state.get(_KEPT)
    if kept is None or kept[0] != original.path:
        kept = st.session_state[_KEPT] = (original.path, desk.ask(searching.original_file, name, result.id))
    st.download_button(
        "Download",
        kept[1].data,
        file_name=original.name,
        mime=kept[1].media_type,
        icon=":material/download:",
        key="original-download",
        on_click="ignore",
    )


_WAYS: dict[str, Callable[[Desk, str, Result], None]] = {
    "pdf": _draw_pages,
    "text": _draw_lines,
    "file": _draw_nothing,
}
