"""Who looks, at the top of each page: a name that is typed, a person who signed in, or whose key it is."""

from __future__ import annotations

import streamlit as st

from app.desk.visit import Desk
from app.ui import markup, sign_in
from app.ui.entrance import TYPED_KEY, forget_person, may_type_key
from app.ui.notices import safely
from app.ui.outside import as_label
from app.ui.visitor import draw_visitor, keep_in_browser, visitor
from app.wording import RIGHT_WORDS

__all__ = ["draw_key_box", "draw_person", "draw_sign_out"]

_FIELD = "key field"


def draw_person(desk: Desk) -> None:
    if sign_in.is_wanted():
        with st.popover(as_label(desk.caller.name), icon=":material/person:"):
            st.html(markup.aside(f"You are signed in, and {_rights(desk)}."))
            draw_sign_out()
    elif may_type_key():
        with st.popover(as_label(desk.caller.name or "You"), icon=":material/person:"):
            st.html(markup.aside(f"{desk.service} answers. You {_rights(desk)}."))
            draw_key_box()
    else:
        draw_visitor(desk.caller)
    keep_in_browser(visitor())


def draw_sign_out() -> None:
    st.button("Sign out", icon=":material/logout:", on_click=_sign_out)


def draw_key_box() -> None:
    """Where a person gives a key of their own, or takes it back."""
    with st.form("key", border=False, clear_on_submit=True):
        st.text_input(
            "Your key",
            type="password",
            key=_FIELD,
            max_chars=200,
            autocomplete="current-password",
            help="It stays in this page's memory until you reload or close it, and is stored nowhere.",
        )
        st.form_submit_button("Use this key", icon=":material/key:", on_click=_keep_key)
    if st.session_state.get(TYPED_KEY):
        st.button("Forget my key", type="tertiary", on_click=_forget_key)


def _rights(desk: Desk) -> str:
    """What the caller may do, in words, and in which collections."""
    may = [words for right, words in RIGHT_WORDS.items() if right in desk.caller.rights]
    listed = f"may {', '.join(may)}" if may else "may do nothing"
    of = desk.caller.collections
    return listed if of is None else f"{listed}, in {', '.join(sorted(of))}"


def _keep_key() -> None:
    st.session_state[TYPED_KEY] = st.session_state[_FIELD].strip()


def _forget_key() -> None:
    st.session_state.pop(TYPED_KEY, None)


@safely
def _sign_out() -> None:
    person = sign_in.require_person()
    st.logout()  # first: whatever becomes of the key, this person leaves
    forget_person(person)
