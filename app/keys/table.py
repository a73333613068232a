"""The table of keys, and every statement that reads or changes it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from app.keys.model import SCOPES, Key
from app.keys.place import KeysPlace
from indexing.catalog.database import reading, writing
from indexing.catalog.side_database import open_side_database
from indexing.errors import StorageError

__all__ = ["add_key", "find_key", "read_keys", "revoke"]

VERSION = 1
_KEPT_SECONDS = 7 * 86_400.0  # a key that expired is listed for so long
_METADATA = sa.MetaData()
KEYS = sa.Table(
    "api_key",
    _METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("collections", sa.JSON(none_as_null=True), nullable=True),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("expires", sa.Float, nullable=True),
    sa.Column("revoked", sa.Float, nullable=True),
)


@contextmanager
def _open(place: KeysPlace) -> Iterator[sa.Engine]:
    """For one use: keys are read every few seconds, see `app.facade.keys`."""
    engine = open_side_database(place.database, _METADATA, VERSION, "keys")
    try:
        yield engine
    finally:
        engine.dispose()


def add_key(place: KeysPlace, key: Key, hash_: str) -> None:
    """Adds a key, and forgets those that expired long before: each person who signs in at a page has one."""
    values = {**vars(key), "hash": hash_, "collections": key.collections and list(key.collections)}
    with _open(place) as engine, writing(engine) as connection:
        connection.execute(sa.delete(KEYS).where(KEYS.c.expires < key.created - _KEPT_SECONDS))
        connection.execute(KEYS.insert().values(values))


def read_keys(place: KeysPlace) -> list[Key]:
    """All that are kept, the oldest first; none, and no file made, where there is no table yet.

    Raises:
        StorageError: a row is none of ours.
    """
    if not place.exists:
        return []
    with _open(place) as engine, reading(engine) as connection:
        rows = connection.execute(sa.select(KEYS).order_by(KEYS.c.created, KEYS.c.id)).all()
    return [_key(place, row) for row in rows]


def find_key(place: KeysPlace, id_: str) -> tuple[Key, str] | None:
    """The key of this id and its hash; None if there is none. Raises as `read_keys`."""
    if not place.exists:
        return None
    with _open(place) as engine, reading(engine) as connection:
        row = connection.execute(sa.select(KEYS).where(KEYS.c.id == id_)).one_or_none()
    return None if row is None else (_key(place, row), row.hash)


def revoke(place: KeysPlace, id_: str) -> bool:
    """Whether there was a key of this id that was not revoked."""
    if not place.exists:
        return False
    holds = (KEYS.c.id == id_) & KEYS.c.revoked.is_(None)
    with _open(place) as engine, writing(engine) as connection:
        changed = connection.execute(sa.update(KEYS).where(holds).values(revoked=time.time()))
    return changed.rowcount == 1


def _key(place: KeysPlace, row: Any) -> Key:
    """The key in a row: one that was altered opens nothing."""
    values = {name: value for name, value in row._mapping.items() if name != "hash"}
    names = values["collections"]
    texts = [values["id"], values["name"], values["scope"], row.hash]
    times = [values["created"], values["expires"] or 0.0, values["revoked"] or 0.0]
    sound = (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(one, (int, float)) and 0 <= one < 1e11 for one in times)
        and values["scope"] in SCOPES
        and (names is None or (isinstance(names, list) and all(isinstance(name, str) for name in names)))
    )
    if not sound:
        raise StorageError(
            f"{place.database} is damaged: a key in it is none; move it away and make the keys anew"
        )
    return Key(**{**values, "collections": None if names is None else tuple(names)})
