"""The desk of whoever looks at the page: of this machine, or of the service that `STLIB_SERVER` names.

With a service a person has a key of their own: where people sign in, one that the page has made for them, by
its own key, of the scope of their roles; else one that they typed, or the one that the page was given.
"""

from __future__ import annotations

import os
import time
from collections.abc import Hashable
from contextlib import suppress
from pathlib import Path

import streamlit as st

from app.desk import entering
from app.desk.entering import PersonKey
from app.desk.local import LocalDesk
from app.desk.visit import Desk
from app.facade.caller import Caller
from app.facade.roles import Person
from app.remote.connection import Connection
from app.remote.desk import RemoteDesk
from app.remote.errors import KeyRefused, KeyWanted
from app.settings import (
    ADMIN_FOR_ALL_VARIABLE,
    SERVER_KEY_FILE_VARIABLE,
    SERVER_KEY_VARIABLE,
    SERVER_VARIABLE,
    Location,
)
from app.ui import sign_in
from app.ui.visitor import visitor
from indexing.errors import IndexingError
from stlib.util.forks import ThreadLock

__all__ = ["TYPED_KEY", "desk_of_visitor", "forget_person", "may_type_key"]

TYPED_KEY = "key typed"
"""Where a key that somebody typed is kept, while they look at the page."""

_YES = ("1", "true", "yes")
_BELIEVED_SECONDS = 5  # that the service said who somebody is
_MOST_KEYS = 10_000
_LONGEST_KEY_FILE = 4_096

_keys: dict[tuple[str, Person], PersonKey] = {}
# Id → address and key, of those who signed out while the service did not answer.
_to_end: dict[str, tuple[str, PersonKey]] = {}
_lock = ThreadLock()


def desk_of_visitor() -> Desk:
    """
    Raises:
        NotSignedIn: people must sign in here, and this one did not.
        KeyRefused, ServiceAway, ServiceFailed: the service does not say who this is.
    """
    person = sign_in.require_person() if sign_in.is_wanted() else None
    address = os.environ.get(SERVER_VARIABLE)
    if not address:
        until = None if person is None else person.until
        return LocalDesk(visitor(person), Location.from_environment(), until)
    connection, session = _connect(address), visitor(person).session
    key = _typed_or_given() if person is None else _key_of(connection, person)
    desk = RemoteDesk(connection, key, session)
    caller = _ask_who((desk.identity, session), desk)
    if person is None and not st.session_state.get(TYPED_KEY):
        _check_shared_key(caller)
    return RemoteDesk(connection, key, session, caller)


def _check_shared_key(caller: Caller) -> None:
    """
    Raises:
        KeyRefused: whoever looks would have the page's own key, which may do everything, and nobody wants it.
    """
    if _given() and "manage" in caller.rights and os.environ.get(ADMIN_FOR_ALL_VARIABLE) not in _YES:
        raise KeyRefused(
            "This page has a key of scope admin, nobody signs in, and so everybody who reaches it might do"
            " everything. Whoever runs it lets people sign in (STLIB_ROLES), gives the page a key of scope"
            f" read or write, or sets {ADMIN_FOR_ALL_VARIABLE}=1 if that is wanted."
        )


def may_type_key() -> bool:
    """Whether a person may bring a key of their own."""
    return bool(os.environ.get(SERVER_VARIABLE)) and not sign_in.is_wanted()


def forget_person(person: Person) -> None:
    """The key that was made for somebody who signs out ends. Where the service does not say that it ended it
    is kept in mind, and ended by the next who signs in or out.

    Raises:
        KeyRefused, ServiceAway, ServiceFailed: it has not ended yet.
    """
    address = os.environ.get(SERVER_VARIABLE)
    if not address:
        return
    connection = _connect(address)
    with _lock:
        if (key := _keys.pop((connection.address, person), None)) is not None:
            _to_end[key.id] = (connection.address, key)
    _end_keys(connection)


def _end_keys(connection: Connection) -> None:
    """Ends the keys of those who left; one is forgotten when the service has ended it, or it ran out."""
    with _lock:
        left = [key for address, key in _to_end.values() if address == connection.address]
    for key in left:
        if key.expires > time.time():
            RemoteDesk(connection, _given(), "").ask(entering.revoke_person_key, key.id)
        with _lock:
            _to_end.pop(key.id, None)


@st.cache_resource(show_spinner=False)
def _connect(address: str) -> Connection:
    return Connection(address)


@st.cache_data(show_spinner=False, max_entries=1_000, ttl=_BELIEVED_SECONDS)
def _ask_who(who: Hashable, _desk: RemoteDesk) -> Caller:
    return _desk.caller


def _key_of(connection: Connection, person: Person) -> str:
    """The key of a person who signed in. One that somebody revoked stays so until they sign in anew."""
    assert person.scope is not None
    held = (connection.address, person)
    with _lock:
        key = _keys.get(held)
        if key is not None:
            return key.text
    with suppress(IndexingError):
        _end_keys(connection)
    page = RemoteDesk(connection, _given(), "")
    hours = max(person.until - time.time(), 1.0) / 3600
    try:
        key = page.ask(entering.make_person_key, person.name, person.scope, hours)
    except KeyWanted:
        raise KeyRefused(
            "This page has no key of its own, by which it has keys made for those who sign in: give it one"
            f" of scope admin ({SERVER_KEY_VARIABLE}, or {SERVER_KEY_FILE_VARIABLE})."
        ) from None
    with _lock:
        if len(_keys) >= _MOST_KEYS:
            for other in [one for one, made in _keys.items() if made.expires < time.time()]:
                del _keys[other]
        first = _keys.setdefault(held, key)
    if first is not key:  # another tab was faster
        page.ask(entering.revoke_person_key, key.id)
    return first.text


def _typed_or_given() -> str:
    return str(st.session_state.get(TYPED_KEY) or "") or _given()


def _given() -> str:
    """The key that the page was given; empty for none. Read anew each time: it may be changed."""
    file = os.environ.get(SERVER_KEY_FILE_VARIABLE)
    if not file:
        return os.environ.get(SERVER_KEY_VARIABLE, "").strip()
    try:
        with Path(file).open(encoding="utf-8") as opened:
            return opened.read(_LONGEST_KEY_FILE).strip()
    except (OSError, UnicodeError) as error:
        raise KeyRefused(f"{SERVER_KEY_FILE_VARIABLE} names a file that cannot be read: {error}.") from error
