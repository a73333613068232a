"""Signing in by OpenID Connect, as Streamlit does it: `[auth]` of its secrets.toml names the issuer.

Where it is set up, nobody sees anything before they signed in; where roles are given to people and it is not
set up, nobody sees anything at all.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Mapping
from typing import Any, cast

import streamlit as st

from app.facade.roles import ROLES_VARIABLE, Person, sign_in_rules
from app.ui import markup
from app.ui.outside import as_label
from indexing.errors import IndexingError

__all__ = ["NotSignedIn", "draw_sign_in", "is_wanted", "require_person"]

_OWN = ("client_id", "client_secret", "server_metadata_url")


class NotSignedIn(IndexingError):
    """Nobody signed in yet, it was too long ago, or they may do nothing here."""


def is_wanted() -> bool:
    """Whether people must sign in here."""
    return bool(os.environ.get(ROLES_VARIABLE)) or bool(_section())


def require_person() -> Person:
    """Who signed in.

    Raises:
        NotSignedIn: nobody did, or not lately, or they may do nothing here.
        BadInput: a setting is none.
    """
    rules = sign_in_rules()
    if not _section() or importlib.util.find_spec("authlib") is None:
        raise NotSignedIn(
            f"{ROLES_VARIABLE} gives people roles here, and signing in is not set up: it needs [auth] in"
            " Streamlit's secrets.toml, and the package Authlib. Whoever runs this page can mend that."
        )
    if not st.user.get("is_logged_in"):
        raise NotSignedIn("Sign in to search here.")
    person = rules.person_of(cast("Mapping[str, Any]", st.user.to_dict()))
    if person is None:
        raise NotSignedIn("Who signed you in does not say who you are: sign in another way.")
    if person.until <= time.time():
        raise NotSignedIn(f"You signed in more than {rules.hours:g} hours ago: sign in again.")
    if person.scope is None:
        raise NotSignedIn(
            f"You are signed in as {person.name}, and none of your roles may do anything here. Whoever runs"
            f" this page gives roles a scope with {ROLES_VARIABLE}; then sign in again."
        )
    return person


def draw_sign_in(reason: str) -> None:
    """Why nothing is shown, and the ways to sign in."""
    st.html(markup.note("Sign in", reason))
    if not _section() or importlib.util.find_spec("authlib") is None:
        return
    with st.container(horizontal=True, key="sign-in"):
        for provider in _providers():
            label = f"Sign in with {provider}" if provider else "Sign in"
            st.button(
                as_label(label),
                key=f"sign in {provider}",
                icon=":material/login:",
                type="primary",
                on_click=st.login,
                args=(provider,) if provider else (),
            )
        if st.user.get("is_logged_in"):
            st.button("Sign out", key="sign out", icon=":material/logout:", on_click=st.logout)


def _providers() -> list[str]:
    """Names of sections of `[auth]`; an empty one for the section itself."""
    section = _section()
    named = [name for name, value in section.items() if isinstance(value, Mapping) and "client_id" in value]
    return ([""] if all(name in section for name in _OWN) else []) + named


def _section() -> Mapping[str, Any]:
    if not st.secrets.load_if_toml_exists():
        return {}
    found = st.secrets.get("auth", {})
    return found if isinstance(found, Mapping) else {}
