"""Changing what decides an answer while people search and add: plan ▸ build ▸ follow ▸ serve."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from indexing.catalog.database import writing
from indexing.catalog.dialect import dialect_of
from indexing.catalog.generations import GenerationInfo
from indexing.catalog.servings import (
    ServingInfo,
    create_serving,
    promotions_of,
    read_serving,
    servings_of,
)
from indexing.generations.build import (
    Models,
    begin_generation,
    build_lock,
    choosing_lock,
    following_maker,
)
from indexing.generations.existing import read_existing
from indexing.generations.follow import Followed, follow
from indexing.generations.plan import Change, Plan, make_plan
from indexing.serving.promote import promote
from indexing.session import Session
from indexing.views.manager import Views

__all__ = ["ReindexProgress", "ReindexReport", "reindex"]


@dataclass
class ReindexReport:
    """What a reindex did.

    Attributes:
        serving: what it made; live if `promoted`.
        work: `none` (codes stayed), `convert` (made of the codes there were) or `embed`.
        documents, chunks: made by this call; what an earlier, interrupted one had made is not among them.
        bytes_needed: what was found free before it began.
    """

    serving: ServingInfo
    generation: GenerationInfo
    work: str
    promoted: bool
    documents: int = 0
    chunks: int = 0
    bytes_needed: int = 0
    seconds: float = 0.0


ReindexProgress = Callable[[Plan, Followed], None]
"""Called before the work begins, after every committed batch and before what was made becomes live; what it
raises stops the work, which the same call takes up again.
"""


def reindex(
    session: Session,
    views: Views,
    change: Change,
    models: Models,
    *,
    promote_it: bool = True,
    who: str = "",
    progress: ReindexProgress | None = None,
) -> ReindexReport:
    """Makes a serving with `change`, and makes it live. Only the work that the change needs is done.

    Raises:
        BadInput: a setting that cannot be used.
        DiskFull: less room than it needs; nothing was begun.
        LockedError: another process builds the same.
    """
    started = time.perf_counter()
    with choosing_lock(session):
        plan = make_plan(session, change)
        dialect_of(session.database).require_space(session.place.catalog, plan.bytes_needed)
        tell = _teller(plan, progress)
        if plan.already:
            live = session.live()
            return ReindexReport(live.serving, live.generation, plan.work, True)
        tell(Followed(plan.target.followed_seq, session.live().state.last_seq))
        generation = plan.target if plan.work == "none" else begin_generation(session, plan, models)
        building = build_lock(session, generation.id).acquire()
    with building:
        done = Followed(generation.followed_seq, session.live().state.last_seq)
        if plan.work != "none":
            maker = following_maker(session, session.live(), generation, models)
            done = follow(session, generation.id, maker, tell)
        views.prepare(generation.id, plan.serving["engine"])
        serving = _serve(session, plan, generation.id)
        if promote_it:
            tell(done)
            promote(session, views, serving.id, models, who=who, progress=tell)
    return ReindexReport(
        serving,
        read_existing(session, generation.id),
        plan.work,
        promote_it,
        done.documents,
        done.chunks,
        plan.bytes_needed,
        time.perf_counter() - started,
    )


def _teller(plan: Plan, progress: ReindexProgress | None) -> Callable[[Followed], None]:
    return (lambda done: None) if progress is None else (lambda done: progress(plan, done))


def _serve(session: Session, plan: Plan, generation_id: int) -> ServingInfo:
    """The serving of the plan: one that was made of the same before and was never live, or a new one."""
    values = {**plan.serving, "generation_id": generation_id}
    with writing(session.database) as connection:
        session.row(connection)
        known = servings_of(connection, session.id)
        promoted = {event.serving_id for event in promotions_of(connection, session.id)}
        for serving in known:
            if serving.id not in promoted and values.items() <= vars(serving).items():
                return serving
        made = read_serving(connection, create_serving(connection, session.id, values))
    assert made is not None
    return made
