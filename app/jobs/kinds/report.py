"""Making a report. It commits nothing before it is kept, so a job that is resumed begins again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.report.history import keep_report
from app.report.judgments import FEEDBACK
from app.report.making import make_report
from app.report.model import TESTED
from app.report.rendering import render
from app.report.systems import ReportChoices, choose_systems
from app.settings import Location, absolute_reranker
from indexing import Collection
from indexing.evaluation import beir_files
from indexing.storage.files import write_atomic

if TYPE_CHECKING:
    from app.jobs.worker import Report

__all__ = ["describe", "run"]


def describe(
    location: Location,
    name: str,
    source: str,
    split: str,
    choices: ReportChoices,
    *,
    who: str = "",
    output: Path | None = None,
    form: str | None = None,
) -> dict[str, Any]:
    """The arguments of a job, from what a person gave. The report is kept, and written to `output` as well.

    Raises:
        UnknownCollection, BadInput: a collection, folder or choice that there is not.
    """
    if source != FEEDBACK:
        beir_files(Path(source), split)
        source = str(Path(source).absolute())
    with Collection.open(name, **location.arguments()) as collection:
        choose_systems(choices, collection.servings())
    given = {key: list(value) for key, value in asdict(choices).items()}
    given["rerankers"] = [absolute_reranker(one) for one in choices.rerankers]
    return {
        "collection": name,
        "judgments": source,
        "split": split,
        "choices": given,
        "who": who,
        "output": None if output is None else str(output.absolute()),
        "format": form,
    }


def run(location: Location, arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    def progress(done: int, total: int) -> None:
        report.now_and_then(done, total, "searches")

    made = make_report(
        location,
        arguments["collection"],
        arguments["judgments"],
        arguments["split"],
        ReportChoices(**arguments["choices"]),
        who=arguments["who"],
        progress=progress,
    )
    kept = keep_report(location, made)
    if arguments["output"] is not None:
        write_atomic(arguments["output"], render(made, arguments["format"] or "html").encode("utf-8"))
    means = {one.letter: {name: one.metrics[name].mean for name in TESTED} for one in made.systems}
    return {"collection": made.collection, "report": kept, "questions": len(made.questions), "systems": means}
