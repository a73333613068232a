"""Heads and memories as bytes, and the settings of a serving with them: safetensors, nothing that runs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save
from sqlalchemy import Connection

from indexing.catalog.artifacts import read_artifact, store_artifact
from indexing.catalog.database import reading
from indexing.catalog.servings import ServingInfo
from indexing.errors import BadInput, FilterError, StorageError
from indexing.search.settings import Head, Memory, SearchSettings
from indexing.session import Session
from stlib.util.forks import ThreadLock

__all__ = ["HEAD", "MEMORY", "SettingsCache", "read_settings", "store_head", "store_memory"]

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


def _pack(arrays: dict[str, np.ndarray]) -> bytes:
    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


class SettingsCache:
    """The settings of the last servings that answered. Threads may share it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._held: dict[int, SearchSettings] = {}
        self._lock = ThreadLock()

    def of(self, serving: ServingInfo) -> SearchSettings:
        """The settings of `serving`; a serving never changes."""
        with self._lock:
            settings = self._held.get(serving.id)
            if settings is None:
                with reading(self._session.database) as connection:
                    settings = read_settings(connection, self._session.id, serving)
                while len(self._held) >= HELD:
                    del self._held[next(iter(self._held))]
                self._held[serving.id] = settings
            return settings
