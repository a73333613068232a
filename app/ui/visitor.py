"""Who looks at the page, as the `Caller` of everything that is asked for here.

A proxy that knows its visitors says the name in the header that `STLIB_USER_HEADER` names, and then nothing
else is believed. Otherwise a person may type a name once, and the browser keeps it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import quote, unquote
from uuid import uuid4

import streamlit as st

from app.facade.caller import Caller, visitor_rights
from app.facade.roles import Person, rights_of
from app.settings import USER_HEADER_VARIABLE as HEADER_VARIABLE
from app.text import plain
from app.ui.outside import as_label

__all__ = ["draw_visitor", "keep_in_browser", "name_of", "session_of", "visitor"]

_LONGEST = 80  # characters of a name
_NAME = "visitor name"
_TYPED = "visitor typed"
_SESSION = "visitor session"
_NAME_COOKIE = "stlib_name"
_SESSION_COOKIE = "stlib_session"
_IS_SESSION = re.compile(r"[0-9a-f]{32}")
_YEAR = 365 * 24 * 3600


def visitor(person: Person | None = None) -> Caller:
    """The person who looks at this page, and who it is where they signed in. One session lasts until the
    browser is closed.

    Raises:
        BadInput: `STLIB_RIGHTS` lists what is no right.
    """
    state = st.session_state
    if _SESSION not in state:
        state[_SESSION] = session_of(st.context.cookies)
    if person is not None:
        return Caller(person.name, "page", state[_SESSION], rights_of(person))
    typed = state.get(_NAME)
    return Caller(
        name_of(st.context.headers, st.context.cookies, typed), "page", state[_SESSION], visitor_rights()
    )


def name_of(
    headers: Mapping[str, str],
    cookies: Mapping[str, str],
    typed: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """The name of a visitor: as the proxy says it, else as `typed` now or earlier; may be empty."""
    header = (os.environ if environment is None else environment).get(HEADER_VARIABLE)
    if header:
        return _tidy(_text(headers.get(header)))
    return _tidy(unquote(_text(cookies.get(_NAME_COOKIE))) if typed is None else typed)


def session_of(cookies: Mapping[str, str]) -> str:
    """The session that the browser is in; a new one where it brings none, or what cannot be one."""
    brought = _text(cookies.get(_SESSION_COOKIE))
    return brought if _IS_SESSION.fullmatch(brought) else uuid4().hex


def draw_visitor(caller: Caller) -> None:
    """The name at the top of a page, and where it can be typed."""
    with st.popover(as_label(caller.name or "You"), icon=":material/person:"):
        if os.environ.get(HEADER_VARIABLE):
            st.caption("Your name comes from the sign-in in front of this page.")
        else:
            st.text_input(
                "Your name",
                value=caller.name,
                key=_TYPED,
                max_chars=_LONGEST,
                autocomplete="name",
                on_change=_keep_name,
                help="Stands beside what you judge and change here. Leave it empty to stay nameless.",
            )


def _keep_name() -> None:
    st.session_state[_NAME] = _tidy(st.session_state[_TYPED])


def keep_in_browser(caller: Caller) -> None:
    """Cookies, so that a reload is no other person: the session's goes when the browser is closed."""
    cookies = st.context.cookies
    scripts = []
    if cookies.get(_SESSION_COOKIE) != caller.session:
        scripts.append(_cookie(_SESSION_COOKIE, caller.session))
    if _NAME in st.session_state and not os.environ.get(HEADER_VARIABLE):
        scripts.append(_cookie(_NAME_COOKIE, quote(caller.name, safe=""), _YEAR if caller.name else 0))
    if scripts:
        st.html(f"<script>{''.join(scripts)}</script>", unsafe_allow_javascript=True)


def _cookie(name: str, value: str, seconds: int | None = None) -> str:
    """`value` is of letters, digits, `%`, `_`, `.`, `-` and `~`."""
    lasting = "" if seconds is None else f"; max-age={seconds}"
    return f'document.cookie = "{name}={value}; path=/; samesite=strict{lasting}";'


def _tidy(name: str) -> str:
    return plain(" ".join(name.split()))[:_LONGEST]


def _text(brought: object) -> str:
    """What a browser or a proxy may have left out."""
    return brought if isinstance(brought, str) else ""
