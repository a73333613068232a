"""Starting jobs that others than the person at the terminal ask for: what they name is checked against what
whoever runs the service allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from app.errors import NotFound
from app.evaluation_job import EvaluationChoices
from app.facade.caller import Caller, require
from app.facade.jobs import Job, start_job
from app.facade.reindex import ReindexChoices, look_ahead
from app.facade.reports import rerankers_to_choose
from app.jobs.kinds import evaluate, reindex
from app.report.judged_sets import list_judged_sets
from app.settings import Location
from indexing import Collection
from indexing.errors import BadInput
from indexing.names import BUNDLED_MODEL

__all__ = ["judged_folder", "start_evaluation", "start_reindex"]


def start_reindex(
    caller: Caller,
    location: Location,
    collection: Collection,
    choices: ReindexChoices,
    *,
    models: Sequence[str] = (),
    rerankers: Sequence[str] = (),
) -> Job:
    """Start the job that changes how a collection finds its answers. A model may be the bundled one, one of
    `models`, or the one that the collection is served with; a reranker one of `rerankers`, or one that
    `app.facade.reports.rerankers_to_choose` has.

    Raises:
        NotAllowed: the caller may not manage.
        BadInput: a model that is not allowed, or a setting that cannot be used.
        DiskFull: less room than it needs.
    """
    require(caller, "manage", collection.name)
    live = next(one for one in collection.servings() if one.live)
    for option, allowed in (
        ("model", (BUNDLED_MODEL, live.model, *models)),
        ("sparse", ("", live.beside.get("sparse"), *models)),
        ("tokens", ("", live.beside.get("tokens"), *models)),
        ("reranker", (*rerankers_to_choose(collection), *rerankers)),
    ):
        given = getattr(choices, option)
        if given is not None and given not in allowed:
            raise BadInput(
                f"{option} {given[:100]!r} is none that may be named here: whoever runs the service lists"
                " others in STLIB_MODELS or STLIB_RERANKERS"
            )
    outlook = look_ahead(location, collection.name, choices)
    arguments = reindex.describe(collection.name, choices, outlook, who=caller.name)
    return start_job(location, "reindex", arguments, caller=caller)


def start_evaluation(
    caller: Caller,
    location: Location,
    collection: Collection,
    judged_set: str,
    choices: EvaluationChoices,
    *,
    rerankers: Sequence[str] = (),
) -> Job:
    """Start the job that measures a collection with judgments that were brought for it.

    Raises:
        NotAllowed: the caller may not improve.
        NotFound: there are no such judgments.
        BadInput: a reranker that is not allowed.
    """
    require(caller, "improve", collection.name)
    if choices.rerank is not None and choices.rerank not in (*rerankers_to_choose(collection), *rerankers):
        raise BadInput(
            f"reranker {choices.rerank[:100]!r} is none that may be named here:"
            f" {', '.join(filter(None, rerankers_to_choose(collection)))}"
        )
    folder = judged_folder(location, collection, judged_set)
    arguments = evaluate.describe(collection.name, folder, choices)
    return start_job(location, "evaluate", arguments, caller=caller)


def judged_folder(location: Location, collection: Collection, name: str) -> Path:
    """Where judgments lie that were brought for a collection.

    Raises:
        NotFound: there are none of this name.
    """
    found = {one.name: one.path for one in list_judged_sets(location, collection.uuid)}
    if name not in found:
        known = ", ".join(found) or "none yet"
        raise NotFound(
            f"no judgments {name[:100]!r} were brought for {collection.name!r}; there are: {known}"
        )
    return found[name]
