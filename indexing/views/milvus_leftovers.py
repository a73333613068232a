"""Giving up what a collection has in Milvus: with a generation, with the collection, and what was left there.

    <folder of collections>/.milvus/<start of names>   what is to be dropped in Milvus, an empty file each

The file is there before anything is dropped, and goes when all is: who is killed in between, or finds Milvus
away, leaves it, and the next one who can goes on. The file of what belongs to a collection that lives on says
so: that collection alone drops it, under the lock of its rows, and nothing that is served again by then.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable
from contextlib import nullcontext, suppress
from pathlib import Path

from sqlalchemy import Connection

from indexing import faults
from indexing.catalog.database import reading
from indexing.catalog.generations import generations_of
from indexing.catalog.locks import Lock, writer_lock
from indexing.catalog.servings import servings_of
from indexing.errors import BadInput, CorruptView, LockedError, MilvusFailed, MilvusUnavailable, StorageError
from indexing.milvus.client import Milvus, connect
from indexing.milvus.marker import Followed, prefix_of
from indexing.milvus.settings import is_configured, read_settings
from indexing.milvus.wire import load_messages
from indexing.session import Session
from indexing.storage.files import remove, remove_if_empty
from indexing.storage.paths import Place

__all__ = [
    "connect_or_say",
    "drop_in_milvus",
    "drop_leftovers",
    "drop_others",
    "followed_in_milvus",
    "keeps_local",
    "left_in_milvus",
    "milvus_lock",
    "note_leftovers",
    "require_far",
    "uses_milvus",
]

logger = logging.getLogger(__name__)

ENGINE = "milvus"
_FOLDER = ".milvus"
_LIVES = b"of a collection that lives\n"
_PREFIX = re.compile(r"stlib_[0-9a-f]{32}_(\d+_)?")


def uses_milvus(connection: Connection, session: Session) -> bool:
    """Whether anything of a collection was ever served from there."""
    return any(one.engine == ENGINE for one in servings_of(connection, session.id))


def connect_or_say() -> Milvus:
    """
    Raises:
        MilvusUnavailable: the environment does not say where it is, or says what cannot be used, or a package
            that speaks to it is not there.
    """
    try:
        load_messages()
        return connect()
    except (BadInput, StorageError) as error:
        raise MilvusUnavailable(f"Milvus is needed: {error}") from error


def require_far(engine: str) -> None:
    """Before a collection gets `engine`: whether what it needs beside the catalog is there.

    Raises:
        BadInput: the environment does not say where it is.
        MilvusUnavailable: it cannot be reached.
    """
    if engine == ENGINE:
        connect().names("stlib_")


def keeps_local() -> bool:
    """Whether files for FAISS are kept beside what is in Milvus."""
    try:
        return is_configured() and read_settings().fallback
    except (BadInput, StorageError):
        return False


def left_in_milvus(session: Session) -> list[str]:
    """What names of collections there begin with that are to be dropped, and could not be yet."""
    folder, mine = _folder_of(session.place), prefix_of(session.uuid)
    return sorted(path.name for path in folder.glob(f"{mine}*"))


def note_leftovers(place: Place, prefixes: Iterable[str], *, lives: bool = False) -> None:
    """Writes down what is to be dropped, before it is. `lives`: the collection does, and may come to serve
    this again.
    """
    folder = _folder_of(place)
    folder.mkdir(parents=True, exist_ok=True)
    for prefix in prefixes:
        if not lives:
            (folder / prefix).write_bytes(b"")
        elif not (folder / prefix).exists():
            (folder / prefix).write_bytes(_LIVES)


def drop_leftovers(place: Place, session: Session | None = None, holding: int | None = None) -> list[str]:
    """Drops what was left in Milvus, as far as it is there; returns what is left still. That of a collection
    that lives only for its own `session`, which holds the lock of the generation `holding` already.
    """
    folder = _folder_of(place)
    left = sorted(path.name for path in folder.glob("stlib_*") if _PREFIX.fullmatch(path.name))
    mine = None if session is None else prefix_of(session.uuid)
    due = [prefix for prefix in left if (mine and prefix.startswith(mine)) or not _lives(folder / prefix)]
    if not due:
        return left
    try:
        client = connect()
        for prefix in due:
            if session is not None and prefix.startswith(prefix_of(session.uuid)):
                _drop_own(client, session, prefix, holding)
            else:
                _drop_all(client, prefix)
                for name in left:
                    if name.startswith(prefix):
                        remove(folder / name)
            remove(folder / prefix)
    except (BadInput, StorageError, LockedError) as error:
        logger.warning("left in Milvus: %s*; it is dropped there later (%s)", "*, ".join(due), error)
        return left
    remove_if_empty(folder)
    return [prefix for prefix in left if (folder / prefix).exists()]


def _drop_own(client: Milvus, session: Session, prefix: str, holding: int | None) -> None:
    """Drops what begins so, generation by generation, but what is served at that moment.

    Raises:
        LockedError: another process writes the rows of one.
    """
    start = prefix_of(session.uuid)
    numbers = {name.removeprefix(start).partition("_")[0] for name in client.names(prefix)}
    for id_ in sorted(int(number) for number in numbers if number.isdecimal()):
        with nullcontext() if id_ == holding else milvus_lock(session, id_):
            if not _is_served(session, id_):
                _drop_all(client, prefix_of(session.uuid, id_))


def _is_served(session: Session, generation_id: int) -> bool:
    live = session.live()
    trial = live.state.trial_serving
    served = [live] if trial is None else [live, session.live(trial)]
    return any((one.generation.id, one.serving.engine) == (generation_id, ENGINE) for one in served)


def _lives(path: Path) -> bool:
    with suppress(FileNotFoundError):  # worked off at this moment
        return path.stat().st_size > 0
    return False


def drop_in_milvus(session: Session, generation_id: int) -> None:
    """Drops the rows of a generation, or remembers to where Milvus is away.

    Raises:
        LockedError: another process writes them.
    """
    prefix = prefix_of(session.uuid, generation_id)
    with reading(session.database) as connection:
        used = uses_milvus(connection, session)
    if not used and not (_folder_of(session.place) / prefix).exists():
        return
    with milvus_lock(session, generation_id):
        note_leftovers(session.place, [prefix], lives=True)
        faults.point("milvus.noted")
        drop_leftovers(session.place, session, generation_id)


def milvus_lock(session: Session, generation_id: int) -> Lock:
    """Held by whoever changes the rows of a generation in Milvus, from whatever host."""
    what = f"the Milvus view of generation {generation_id} of collection {session.name!r}"
    return writer_lock(session.database, session.place, f"milvus-{generation_id}", what)


def drop_others(session: Session, served: Collection[tuple[int, str]]) -> None:
    """Drops the rows of every generation but those of `served`, (generation, engine), also of those that are
    no more. Where nothing is served from Milvus it may be away, and is remembered.

    Raises:
        MilvusUnavailable: it is away.
    """
    kept = tuple(prefix_of(session.uuid, id_) for id_, engine in served if engine == ENGINE)
    if kept:
        client = connect_or_say()
        for name in client.names(prefix_of(session.uuid)):
            if not name.startswith(kept):
                client.drop(name)
        return
    with reading(session.database) as connection:
        used = uses_milvus(connection, session)
    if used:
        note_leftovers(session.place, [prefix_of(session.uuid)], lives=True)
        drop_leftovers(session.place, session)


def followed_in_milvus(session: Session, *, needed: bool) -> dict[tuple[int, str], int]:
    """(generation, engine) → the change that its rows have followed to.

    Raises:
        MilvusUnavailable: it is away, and `needed`. Where it is not, what it has is made anew some day.
    """
    with reading(session.database) as connection:
        if not uses_milvus(connection, session):
            return {}
        ids = [generation.id for generation in generations_of(connection, session.id)]
    try:
        client = connect_or_say()
        return {
            (id_, ENGINE): change for id_ in ids if (change := _followed(client, session, id_)) is not None
        }
    except MilvusFailed:
        if needed:
            raise
        return {}


def _followed(client: Milvus, session: Session, generation_id: int) -> int | None:
    changes = []
    for name in client.names(prefix_of(session.uuid, generation_id)):
        with suppress(CorruptView):
            marker = client.read_marker(name)
            followed = None if marker is None else Followed.from_json(marker.text)
            if followed is not None:
                changes.append(followed.change)
    return max(changes, default=None)


def _drop_all(client: Milvus, prefix: str) -> None:
    for name in client.names(prefix):
        client.drop(name)
        faults.point("milvus.dropped")


def _folder_of(place: Place) -> Path:
    return place.folder.parent / _FOLDER
