"""Servings that were learned: made of the live one with other settings, judged, and tried."""

from __future__ import annotations

from typing import Any

from indexing.catalog.database import writing
from indexing.catalog.servings import ServingInfo, create_serving, read_serving, set_gate, set_trial
from indexing.errors import BadInput
from indexing.search.artifacts import store_head, store_memory
from indexing.search.settings import SearchSettings
from indexing.serving.promote import find_serving
from indexing.session import Session

__all__ = ["create_learned", "end_trial", "record_gate"]

PENDING = "pending"


def create_learned(
    session: Session, settings: SearchSettings, note: str, *, needs_gate: bool, made_from: int | None
) -> ServingInfo:
    """A serving of the generation of `made_from` (None: the live one) with `settings`; it is not live.

    Raises:
        BadInput: settings that do not fit the generation.
    """
    source = session.live(made_from)
    for part in (settings.head, settings.memory):
        if part is not None and part.dimension != source.generation.dimension:
            raise BadInput(
                f"what was learned has {part.dimension} dimensions, and generation {source.generation.id}"
                f" {source.generation.dimension}"
            )
    values = {
        "generation_id": source.generation.id,
        "engine": source.serving.engine,
        "analysis": source.serving.analysis,
        "ranking": settings.ranking(),
        "reranker": None if settings.reranker is None else dict(settings.reranker),
        "made_from": source.serving.id,
        "note": note,
        "gate": {"verdict": PENDING} if needs_gate else None,
    }
    with writing(session.database) as connection:
        session.row(connection)
        if read_serving(connection, source.serving.id) is None:
            raise BadInput(
                f"serving {source.serving.id} of collection {session.name!r} was dropped meanwhile"
            )
        values["query_model"] = store_head(connection, session.id, settings.head)
        values["memory"] = store_memory(connection, session.id, settings.memory)
        made = read_serving(connection, create_serving(connection, session.id, values))
    assert made is not None
    return made


def record_gate(session: Session, serving_id: int, gate: dict[str, Any]) -> None:
    """Writes the verdict on a serving that was learned.

    Raises:
        BadInput: there is none of this number, it was not learned, or there is no verdict.
    """
    serving, _ = find_serving(session, serving_id)
    if serving.gate is None:
        raise BadInput(f"serving {serving_id} was not learned, and needs no gate")
    if not isinstance(gate.get("verdict"), str):
        raise BadInput(f"gate {gate!r}: it has no verdict")
    with writing(session.database) as connection:
        session.row(connection)
        set_gate(connection, serving_id, gate)


def end_trial(session: Session, who: str = "", serving: int | None = None) -> int | None:
    """Lets the live serving answer alone; returns what was tried, None if nothing was, or not `serving`."""
    with writing(session.database) as connection:
        state = session.row(connection)
        if serving not in (None, state.trial_serving):
            return None
        return set_trial(connection, session.id, None, who)
