"""Moving the pointer to what is searched: forward, and back. Both are one update."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from indexing import faults
from indexing.catalog.collections import CollectionState
from indexing.catalog.database import writing
from indexing.catalog.generations import GenerationInfo, mark_following, read_generation
from indexing.catalog.log import take_seqs
from indexing.catalog.servings import (
    CREATE,
    PROMOTE,
    ROLLBACK,
    TRIAL,
    PromotionInfo,
    ServingInfo,
    promotions_of,
    read_serving,
    servings_of,
    set_live,
    set_trial,
)
from indexing.errors import AnotherIsLive, BadInput, GateNotPassed
from indexing.generations.build import Models, calibrate, following_maker
from indexing.generations.existing import check_existing, read_existing
from indexing.generations.follow import Followed, FollowProgress, follow, follow_within
from indexing.generations.makers import FollowingMaker
from indexing.session import Session
from indexing.views.manager import Views

__all__ = ["PASSED", "Promoted", "find_serving", "previous_serving", "promote"]

# So many changes are made up for while the log is held still, however slow the model is: a writer waits ten
# seconds. A fast one may make up for as many as it made in this time just before.
MOST_WHILE_HELD = 16
HELD_SECONDS = 2.0

PASSED = "passed"
"""The verdict that lets a serving that was learned become live."""


@dataclass(frozen=True)
class Promoted:
    """`serving` is live; `before` was."""

    serving: ServingInfo
    before: ServingInfo


def find_serving(session: Session, serving_id: int) -> tuple[ServingInfo, GenerationInfo]:
    """A serving of this collection and its generation.

    Raises:
        BadInput: there is none of this number; the message lists those there are.
    """
    with session.looking() as (connection, _):
        known = servings_of(connection, session.id)
        serving = next((one for one in known if one.id == serving_id), None)
        generation = None if serving is None else read_generation(connection, serving.generation_id)
    if serving is None or generation is None:
        numbers = ", ".join(str(one.id) for one in known)
        raise BadInput(f"collection {session.name!r} has no serving {serving_id!r}; there are: {numbers}")
    return serving, generation


def promote(
    session: Session,
    views: Views,
    serving_id: int,
    models: Models,
    *,
    kind: str = PROMOTE,
    who: str = "",
    override: str | None = None,
    tried_beside: int | None = None,
    expected: int | None = None,
    progress: FollowProgress | None = None,
) -> Promoted:
    """Makes a serving live: its generation catches up with the log, its views are made, the pointer moves.

    Others search and add meanwhile; they notice the move before their next search and batch. With `kind`
    `TRIAL` the serving answers beside the live one instead. With `tried_beside` it becomes live only as long
    as it is tried beside that one, with `expected` only as long as that one is live.

    Raises:
        BadInput: there is no such serving, or it is not tried beside `tried_beside` any more.
        AnotherIsLive: not the one that was `expected`.
        GateNotPassed: the serving was learned, has not shown that it is better than what is live, and there
            is no `override`.
    """
    serving, _ = find_serving(session, serving_id)
    before = session.live()
    move = Move(kind, who, override, tried_beside, expected)
    with session.looking() as (connection, state):
        _check_move(session, connection, state, serving, move)
    most, first = MOST_WHILE_HELD, True
    while True:
        maker = _maker_if_behind(session, serving, models)
        if maker is not None:
            started = time.monotonic()
            followed = follow(session, serving.generation_id, maker, progress)
            most = max(most, _fitting(followed, time.monotonic() - started))
        views.prepare(serving.generation_id, serving.engine, by_much=not first)
        faults.point("swap.before")
        if _swap(session, serving, maker, move, most):
            break
        first = False
    faults.point("rollback.after" if kind == ROLLBACK else "swap.after")
    with session.lock:
        views.forget()
    return Promoted(serving, before.serving)


def _check_move(
    session: Session, connection: Connection, state: CollectionState, serving: ServingInfo, move: Move
) -> None:
    _check_expected(session, state, move.expected)
    if move.kind == TRIAL and serving.id == state.live_serving:
        raise BadInput(
            f"serving {serving.id} of collection {session.name!r} is live: try another one beside it"
        )
    if move.override is not None and not move.override.strip():
        raise BadInput("the reason of an override is empty: say why, the history keeps it")
    if move.tried_beside not in (None, state.live_serving) or (
        move.tried_beside is not None and state.trial_serving != serving.id
    ):
        raise BadInput(
            f"serving {serving.id} of collection {session.name!r} is not tried beside serving"
            f" {move.tried_beside} any more: nothing was changed"
        )
    if move.kind == PROMOTE and serving.gate is not None and move.override is None:
        _check_gate(session, connection, state, serving, serving.gate)


def _check_gate(
    session: Session,
    connection: Connection,
    state: CollectionState,
    serving: ServingInfo,
    gate: Mapping[str, object],
) -> None:
    """A verdict says that one serving is better than another; it says nothing of a third that is live now."""
    verdict, baseline = gate.get("verdict"), gate.get("baseline")
    if verdict != PASSED:
        said = f"the gate says {str(verdict)[:20]!r} of it"
    elif baseline not in (None, state.live_serving) and not _was_live(connection, session.id, serving.id):
        said = (
            f"it passed the gate against serving {str(baseline)[:20]}, and serving {state.live_serving} is"
            " live by now"
        )
    else:
        return
    raise GateNotPassed(
        f"serving {serving.id} of collection {session.name!r} was learned, and {said}: try it beside the"
        " live one (`--trial`), or say why it shall be live all the same (`--override REASON`)"
    )


def _was_live(connection: Connection, collection_id: int, serving_id: int) -> bool:
    """A person may name an earlier serving again."""
    return any(
        one.serving_id == serving_id and one.kind in (CREATE, PROMOTE, ROLLBACK)
        for one in promotions_of(connection, collection_id)
    )


def _maker_if_behind(session: Session, serving: ServingInfo, models: Models) -> FollowingMaker | None:
    """What the serving's generation catches up by; None if it has followed everything."""
    live = session.live()
    generation = read_existing(session, serving.generation_id)
    if generation.followed_seq == live.state.last_seq:
        return None
    return following_maker(session, live, calibrate(session, generation, models), models)


def _fitting(followed: Followed, seconds: float) -> int:
    """How many documents can be made up for while a writer waits, as fast as these were."""
    return int(followed.documents * HELD_SECONDS / seconds) if seconds > 0 else 0


@dataclass(frozen=True)
class Move:
    """How and by whom the pointer is moved, for the history, and what must still be so; see `promote`."""

    kind: str
    who: str
    override: str | None
    tried_beside: int | None = None
    expected: int | None = None


def _swap(
    session: Session, serving: ServingInfo, maker: FollowingMaker | None, move: Move, most: int
) -> bool:
    """The one transaction; False if the generation is more than `most` changes behind by now."""
    with writing(session.database) as connection:
        take_seqs(connection, session.id, 0)
        state = session.row(connection)
        now = read_serving(connection, serving.id)
        if now is None:
            raise BadInput(f"serving {serving.id} of collection {session.name!r} was dropped meanwhile")
        _check_move(session, connection, state, now, move)  # others may have moved since it was looked at
        id_ = serving.generation_id
        generation = check_existing(session, id_, read_generation(connection, id_))
        if generation.followed_seq != state.last_seq and (
            maker is None or not follow_within(session, connection, state, id_, maker, most)
        ):
            return False
        mark_following(connection, serving.generation_id)
        if move.kind == TRIAL:
            set_trial(connection, session.id, serving.id, move.who)
        else:
            if state.trial_serving is not None:  # it was compared with what is live no more
                set_trial(connection, session.id, None, move.who)
            set_live(connection, session.id, serving.id, move.kind, move.who, move.override)
        faults.point("rollback.inside" if move.kind == ROLLBACK else "swap.inside")
    return True


def _check_expected(session: Session, state: CollectionState, expected: int | None) -> None:
    if expected not in (None, state.live_serving):
        raise AnotherIsLive(
            f"serving {state.live_serving} of collection {session.name!r} is live, not {expected}:"
            " nothing was changed"
        )


def previous_serving(session: Session, expected: int | None = None) -> int:
    """The serving to go back to: what was live when the present one became so.

    Going back again goes further back, as pages of a browser do: a serving that was left by going back is not
    what came before.

    Raises:
        BadInput: nothing was live before.
        AnotherIsLive: not the one that was `expected`.
    """
    with session.looking() as (connection, state):
        _check_expected(session, state, expected)
        history = promotions_of(connection, session.id)
        known = {one.id for one in servings_of(connection, session.id)}
    stack = _stack(history, known)
    while stack and stack[-1] == state.live_serving:
        stack.pop()
    if not stack:
        raise BadInput(
            f"collection {session.name!r} has no earlier serving to go back to; `stlib history "
            f"{session.name}`"
            " shows what there is"
        )
    return stack[-1]


def _stack(history: list[PromotionInfo], known: set[int]) -> list[int]:
    """Servings in the order in which they were reached by going forward."""
    stack: list[int] = []
    for event in history:
        if event.kind in (CREATE, PROMOTE):
            stack.append(event.serving_id)
        elif event.kind == ROLLBACK and event.serving_id in stack:
            while stack[-1] != event.serving_id:
                stack.pop()
    return [serving for serving in stack if serving in known]
