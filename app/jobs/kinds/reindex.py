"""Changing what a collection serves. Resumed, it goes on where the generation it builds has followed to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.facade.reindex import Asked, Outlook, ReindexChoices, Step, reindex_collection
from app.facade.who import login_name
from app.settings import Location, absolute_model, absolute_reranker

if TYPE_CHECKING:
    from app.jobs.worker import Report

__all__ = ["describe", "run"]


def describe(name: str, choices: ReindexChoices, outlook: Outlook, who: str | None = None) -> dict[str, Any]:
    """The arguments of a job, from what a person gave and what it comes to; `who` is the person, by default
    the one whose process this is.
    """
    given = choices.given()
    if given.get("reranker"):
        given["reranker"] = absolute_reranker(given["reranker"])
    for option in ("model", "sparse", "tokens"):
        if given.get(option):
            given[option] = absolute_model(given[option])
    asked = {"live": outlook.live.id, "note": outlook.plan.serving["note"]}
    return {"collection": name, "choices": given, "asked": asked, "who": login_name() if who is None else who}


def run(location: Location, arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    """How many documents there will be is estimated by the share of the changes that was followed."""

    def progress(step: Step) -> None:
        if step.documents and step.share:
            report(step.documents, round(step.documents / step.share), "documents")
        else:
            report.check()

    summary = reindex_collection(
        location,
        arguments["collection"],
        ReindexChoices(**arguments["choices"]),
        who=arguments["who"],
        progress=progress,
        asked=Asked(**arguments["asked"]),
    )
    return summary.to_dict()
