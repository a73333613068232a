"""Dropping a generation: its servings first, then its rows piece by piece, then its files."""

from __future__ import annotations

from indexing import faults
from indexing.catalog.artifacts import delete_unused_artifacts
from indexing.catalog.database import writing
from indexing.catalog.generations import (
    DROPPING,
    delete_chunks,
    delete_generation,
    delete_servings,
    generations_of,
    read_generation,
    set_state,
)
from indexing.catalog.servings import read_serving, servings_of
from indexing.errors import BadInput
from indexing.generations.build import build_lock
from indexing.milvus.marker import prefix_of
from indexing.names import FAR_ENGINES
from indexing.session import Session
from indexing.views.manager import Views
from indexing.views.milvus_leftovers import note_leftovers

__all__ = ["drop_generation"]

# So many chunks go in one transaction: others write in between.
PIECE = 5_000


def drop_generation(session: Session, views: Views, generation_id: int) -> int:
    """Deletes everything of a generation that is not live; returns how many chunks it had. One who is killed
    leaves it out of use, and the same call goes on.

    Raises:
        BadInput: it is live, or there is none of this number.
        LockedError: another process builds it, or is writing the views.
    """
    with build_lock(session, generation_id):
        _take_out_of_use(session, generation_id)
        faults.point("drop.inside")
        views.remove_generation(generation_id)
        dropped = 0
        while True:
            with writing(session.database) as connection:
                deleted = delete_chunks(connection, generation_id, PIECE)
                if not deleted:
                    delete_generation(connection, generation_id)
                    break
            dropped += deleted
        faults.point("drop.after")
    return dropped


def _take_out_of_use(session: Session, generation_id: int) -> None:
    with writing(session.database) as connection:
        state = session.row(connection)
        known = generations_of(connection, session.id)
        generation = read_generation(connection, generation_id)
        if generation is None or generation_id not in {one.id for one in known}:
            numbers = ", ".join(str(one.id) for one in known)
            raise BadInput(
                f"collection {session.name!r} has no generation {generation_id!r}; there are: {numbers}"
            )
        live = read_serving(connection, state.live_serving)
        if live is not None and live.generation_id == generation_id:
            raise BadInput(
                f"generation {generation_id} of collection {session.name!r} is live: promote another serving "
                "first"
            )
        tried = None if state.trial_serving is None else read_serving(connection, state.trial_serving)
        if tried is not None and tried.generation_id == generation_id:
            raise BadInput(
                f"generation {generation_id} of collection {session.name!r} is tried beside the live one:"
                " end the trial first"
            )
        served = [one for one in servings_of(connection, session.id) if one.generation_id == generation_id]
        if any(one.engine in FAR_ENGINES for one in served):
            note_leftovers(session.place, [prefix_of(session.uuid, generation_id)])
        delete_servings(connection, generation_id)
        delete_unused_artifacts(connection, session.id)
        set_state(connection, generation_id, DROPPING)
