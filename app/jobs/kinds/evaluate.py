"""Measuring a collection. It commits nothing, so a job that is resumed begins again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.evaluation_job import EvaluationChoices, evaluate_folder
from app.settings import Location, absolute_model, absolute_reranker
from indexing.evaluation import read_beir

if TYPE_CHECKING:
    from app.jobs.worker import Report

__all__ = ["describe", "run"]


def describe(name: str, folder: Path, choices: EvaluationChoices) -> dict[str, Any]:
    """The arguments of a job, from what a person gave.

    Raises:
        BadInput: the folder lacks a file.
    """
    read_beir(folder, choices.split)
    given = {**vars(choices), "modes": list(choices.modes)}
    if given["rerank"]:
        given["rerank"] = absolute_reranker(given["rerank"])
    for option in ("model", "sparse", "tokens"):
        if given[option]:
            given[option] = absolute_model(given[option])
    return {"collection": name, "folder": str(folder.absolute()), "choices": given}


def run(location: Location, arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    name, folder = arguments["collection"], Path(arguments["folder"])
    choices = EvaluationChoices(**arguments["choices"])

    def progress(asked: int, total: int) -> None:
        report.now_and_then(asked, total, "questions")

    reports = evaluate_folder(location, name, folder, choices, progress)
    return {"collection": name, "split": choices.split, "modes": {one.mode: one.to_dict() for one in reports}}
