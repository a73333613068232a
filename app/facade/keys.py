"""Keys for programs: made, listed, revoked, and asked who comes with one.

    id, secret = make_key(caller, location, "reporting", scope="read", collections=["notes"], days=90)
    key_caller(location, secret)      # Caller("reporting", "api", rights={"search"}, collections={"notes"})

A key is shown once. One that is revoked is refused within `HELD_SECONDS` by services that run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

from app.facade.caller import Caller, require_everywhere
from app.keys.hashing import draw_key, hash_of, id_of, is_key
from app.keys.model import RIGHTS_OF_SCOPES, SCOPES, Key
from app.keys.place import keys_place
from app.keys.table import add_key, find_key, read_keys, revoke
from app.settings import Location
from indexing.documents.model import storable_text
from indexing.errors import BadInput
from indexing.storage.paths import check_name

__all__ = ["BadKey", "Key", "KeyCallers", "key_caller", "list_keys", "make_key", "revoke_key"]

HELD_SECONDS = 2.0
_MOST_HELD = 1_000  # keys that are asked for within that time; more are read from the table each time
_RECENT_SECONDS = 3_600.0
_MOST_RECENT = 10_000
_LONGEST_NAME = 100
_MOST_DAYS = 36_500


class BadKey(BadInput):
    """A key that opens nothing: it is none, unknown, expired or revoked."""


def make_key(
    caller: Caller,
    location: Location,
    name: str,
    *,
    scope: str = "read",
    collections: Iterable[str] | None = None,
    days: float | None = None,
) -> tuple[Key, str]:
    """A new key and its text, which is kept nowhere. `collections` None opens all; `days` None never ends.

    Raises:
        NotAllowed: the caller may not manage, or some collections only.
        BadInput: a name, scope, collection or time that cannot be.
    """
    require_everywhere(caller, "manage")
    name = name.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable() or storable_text(name) != name:
        raise BadInput(f"a key needs a name on one line, 1 to {_LONGEST_NAME} characters: whose it is")
    if scope not in SCOPES:
        raise BadInput(f"scope {scope!r}: use one of {', '.join(SCOPES)}")
    if days is not None and not (math.isfinite(days) and 0 < days <= _MOST_DAYS):
        raise BadInput(f"days {days!r}: give a number above 0, at most {_MOST_DAYS:,}")
    names = None if collections is None else tuple(dict.fromkeys(collections))
    if names == ():
        raise BadInput("a key for no collection opens nothing: name one, or leave them away for all")
    for one in names or ():
        check_name(one)
    id_, text = draw_key()
    now = time.time()
    expires = None if days is None else now + days * 86_400
    key = Key(id=id_, name=name, scope=scope, collections=names, created=now, expires=expires)
    add_key(keys_place(location), key, hash_of(text))
    return key, text


def list_keys(caller: Caller, location: Location) -> list[Key]:
    """Every key that was made, the oldest first, but those that expired more than a week before
    another one was made.

    Raises:
        NotAllowed: the caller may not manage, or some collections only.
    """
    require_everywhere(caller, "manage")
    return read_keys(keys_place(location))


def has_keys(location: Location) -> bool:
    """Whether any key holds."""
    return any(key.state() == "valid" for key in read_keys(keys_place(location)))


def revoke_key(caller: Caller, location: Location, id_: str) -> None:
    """
    Raises:
        NotAllowed: the caller may not manage, or some collections only.
        BadInput: there is no such key, or it was revoked before.
    """
    require_everywhere(caller, "manage")
    if not revoke(keys_place(location), id_):
        known = ", ".join(key.id for key in read_keys(keys_place(location)) if key.revoked is None) or "none"
        raise BadInput(f"there is no key {id_!r} to revoke; those that hold: {known}")


def key_caller(location: Location, secret: str, surface: str = "api") -> Caller:
    """Who comes with this key.

    Raises:
        BadKey: it opens nothing. The message is the same for one that never was and a wrong secret.
    """
    return _caller(_valid_key(location, secret), surface)


def _valid_key(location: Location, secret: str) -> Key:
    id_ = id_of(secret)
    found = None if id_ is None else find_key(keys_place(location), id_)
    if found is None or not is_key(secret, found[1]):
        raise BadKey("this key is not known here: make one with `stlib keys make NAME`")
    state = found[0].state()
    if state != "valid":
        raise BadKey(f"key {found[0].id} is {state}: ask for another one")
    return found[0]


def _caller(key: Key, surface: str) -> Caller:
    return Caller(
        key.name,
        surface,
        session=f"key-{key.id}",
        rights=RIGHTS_OF_SCOPES[key.scope],
        collections=None if key.collections is None else frozenset(key.collections),
    )


class KeyCallers:
    """`key_caller` for many requests a second: what the table said is believed for `HELD_SECONDS`. Of keys
    that are refused nothing is held.
    """

    def __init__(self, location: Location, surface: str = "api") -> None:
        self._location = location
        self._surface = surface
        self._held: dict[str, tuple[float, Caller]] = {}  # by the hash: no secret stays in memory
        self._recent: dict[str, float] = {}  # by the hash, until when
        self._made, self._made_until = False, 0.0

    def held(self, secret: str) -> Caller | None:
        """Who comes with this key, if that was asked a moment ago; reads nothing."""
        found = self._held.get(hash_of(secret))
        return found[1] if found is not None and found[0] > time.monotonic() else None

    def held_made(self) -> bool | None:
        """What `made` said a moment ago; None if it is to be asked."""
        return self._made if self._made or self._made_until > time.monotonic() else None

    def made(self) -> bool:
        """Whether a key was ever made here. One that has ended counts: whoever made it wants keys asked for.

        Raises:
            StorageError: the table cannot be read.
        """
        self._made = bool(read_keys(keys_place(self._location)))
        self._made_until = time.monotonic() + HELD_SECONDS
        return self._made

    def was_valid(self, secret: str) -> bool:
        """Whether this very key opened something within the last hour: it is no guess, and may have been
        revoked since.
        """
        return self._recent.get(hash_of(secret), 0.0) > time.monotonic()

    def of(self, secret: str) -> Caller:
        """Raises BadKey as `key_caller`."""
        hash_, now = hash_of(secret), time.monotonic()
        try:
            key = _valid_key(self._location, secret)
        except BadKey:
            self._recent.pop(hash_, None)
            raise
        caller = _caller(key, self._surface)
        if len(self._held) >= _MOST_HELD:
            self._held.clear()
        if len(self._recent) >= _MOST_RECENT:
            self._recent.clear()
        left = HELD_SECONDS if key.expires is None else min(HELD_SECONDS, key.expires - time.time())
        self._held[hash_] = now + left, caller
        self._recent[hash_] = now + _RECENT_SECONDS
        return caller
