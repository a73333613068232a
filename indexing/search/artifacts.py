"""Heads and memories as bytes, and the settings of a serving with them: safetensors, nothing that runs."""

from __future__ import annotations

import json
from collections.abc import Set
from dataclasses import replace
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save
from sqlalchemy import Connection

from indexing.catalog.artifacts import delete_unused_artifacts, keep_date, read_artifact, store_artifact
from indexing.catalog.database import reading
from indexing.catalog.moving import present_ids
from indexing.catalog.servings import ServingInfo, read_serving, servings_of, set_memory
from indexing.errors import BadInput, FilterError, StorageError
from indexing.search.settings import Head, Memory, SearchSettings
from indexing.session import Live, Session
from stlib.util.forks import ThreadLock

__all__ = [
    "HEAD",
    "MEMORY",
    "SettingsCache",
    "forget_in_memories",
    "read_settings",
    "remembered_ids",
    "store_head",
    "store_memory",
]

HEAD, MEMORY = "head", "memory"
HELD = 4
# What bytes of somebody else may raise while they are read.
_UNREADABLE = (
    BadInput,
    FilterError,
    SafetensorError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    RecursionError,
)


def store_head(connection: Connection, collection_id: int, head: Head | None) -> dict[str, Any] | None:
    """What a serving's row says of its head."""
    if head is None:
        return None
    arrays = {"matrix": head.matrix} if head.down is None else {"matrix": head.matrix, "down": head.down}
    return {"kind": "linear", "artifact": store_artifact(connection, collection_id, HEAD, _pack(arrays))}


def store_memory(connection: Connection, collection_id: int, memory: Memory | None) -> dict[str, Any] | None:
    """What a serving's row says of its memory."""
    if memory is None:
        return None
    rows = [
        (question, id_, worth)
        for question, answers in enumerate(memory.answers)
        for id_, worth in answers.items()
    ]
    names = sorted({id_ for _, id_, _ in rows})
    numbers = {id_: number for number, id_ in enumerate(names)}
    data = _pack(
        {
            "vectors": memory.vectors,
            "question": np.asarray([question for question, _, _ in rows], np.int64),
            "document": np.asarray([numbers[id_] for _, id_, _ in rows], np.int64),
            "worth": np.asarray([worth for _, _, worth in rows], np.float64),
            "ids": np.frombuffer(json.dumps(names).encode(), np.uint8),
        }
    )
    artifact = store_artifact(connection, collection_id, MEMORY, data)
    return {"artifact": artifact, "reach": memory.reach, "neighbours": memory.neighbours}


def read_settings(connection: Connection, collection_id: int, serving: ServingInfo) -> SearchSettings:
    """The settings of a serving.

    Raises:
        StorageError: what is stored is none.
    """
    try:
        head = _read_head(connection, collection_id, serving.query_model)
        memory = _read_memory(connection, collection_id, serving.memory)
        return SearchSettings.from_ranking(
            serving.ranking, reranker=serving.reranker, head=head, memory=memory
        )
    except _UNREADABLE as error:
        raise StorageError(
            f"the catalog is damaged: serving {serving.id} has settings that are none ({error}); restore it"
            " from a backup, or promote another serving"
        ) from error


def _read_head(connection: Connection, collection_id: int, said: dict[str, Any] | None) -> Head | None:
    if said is None:
        return None
    arrays = load(read_artifact(connection, collection_id, str(said["artifact"])))
    return Head(arrays["matrix"], arrays.get("down"))


def _read_memory(connection: Connection, collection_id: int, said: dict[str, Any] | None) -> Memory | None:
    if said is None:
        return None
    arrays = load(read_artifact(connection, collection_id, str(said["artifact"])))
    names = json.loads(arrays["ids"].tobytes())
    answers: list[dict[str, float]] = [{} for _ in range(len(arrays["vectors"]))]
    rows = zip(*(arrays[name].tolist() for name in ("question", "document", "worth")), strict=True)
    for question, document, worth in rows:
        if question < 0 or document < 0:
            raise ValueError("a number below 0")
        answers[question][names[document]] = worth
    return Memory(arrays["vectors"], tuple(answers), float(said["reach"]), int(said["neighbours"]))


def forget_in_memories(connection: Connection, collection_id: int, names: Set[str]) -> int:
    """Takes documents (ids) out of what servings remember, and questions that had no other answer; returns
    out of how many memories. What else they remember stays, and is followed through renames as before.
    """
    changed: dict[str, str] = {}
    for serving in servings_of(connection, collection_id):
        before = str((serving.memory or {}).get("artifact", ""))
        memory = _read_memory(connection, collection_id, serving.memory)
        if memory is None or serving.memory is None:
            continue
        remembered = {id_ for answers in memory.answers for id_ in answers}
        present = present_ids(connection, collection_id, remembered, before)
        gone = {id_ for id_ in remembered if id_ in names or present[id_] in names}
        if not gone:
            continue
        left = [{id_: worth for id_, worth in one.items() if id_ not in gone} for one in memory.answers]
        kept = [at for at, answers in enumerate(left) if answers]
        less = replace(
            memory,
            vectors=np.ascontiguousarray(memory.vectors[kept]),
            answers=tuple(left[at] for at in kept),
        )
        said = store_memory(connection, collection_id, less)
        assert said is not None
        keep_date(connection, collection_id, said["artifact"], before)
        set_memory(connection, serving.id, {**serving.memory, **said})
        changed[before] = said["artifact"]
    delete_unused_artifacts(connection, collection_id)
    return len(changed)


def remembered_ids(connection: Connection, collection_id: int, serving: ServingInfo) -> set[str]:
    """The documents that a serving remembers, as they were called then."""
    memory = _read_memory(connection, collection_id, serving.memory)
    return set() if memory is None else {id_ for answers in memory.answers for id_ in answers}


def _pack(arrays: dict[str, np.ndarray]) -> bytes:
    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


class SettingsCache:
    """The settings of the last servings that answered. Threads may share it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._held: dict[int, SearchSettings] = {}
        self._epoch = 0
        self._lock = ThreadLock()

    def of(self, live: Live) -> SearchSettings:
        """The settings of what is searched. A serving never changes, but that it forgets documents which are
        erased; the epoch of its collection tells that.
        """
        serving, epoch = live.serving, live.state.epoch
        with self._lock:
            if epoch != self._epoch:
                self._held, self._epoch = {}, epoch
            settings = self._held.get(serving.id)
            if settings is None:
                with reading(self._session.database) as connection:
                    # As it is now: `live` may have been read before something was erased.
                    present = read_serving(connection, serving.id) or serving
                    settings = read_settings(connection, self._session.id, present)
                while len(self._held) >= HELD:
                    del self._held[next(iter(self._held))]
                self._held[serving.id] = settings
            return settings
