"""`stlib evaluate`: IR metrics of a collection."""

from __future__ import annotations

from pathlib import Path

import click

from app.cli.jobs import start_in_background
from app.cli.options import (
    background_option,
    json_option,
    location_options,
    model_options,
    note_limits,
    rerank_options,
)
from app.cli.terminal import echo, echo_json, table, warn
from app.settings import Location
from app.wording import format_count, format_duration
from indexing.names import DEFAULT_MODE, MODES

__all__ = ["command"]


@click.command("evaluate")
@click.argument("name")
@click.argument("beir_dir", type=click.Path(path_type=Path))
@click.option("--split", default="test", show_default=True, help="Which judgments: qrels/SPLIT.tsv.")
@click.option("--mode", type=click.Choice([*MODES, "all"]), default=DEFAULT_MODE, show_default=True)
@rerank_options()
@model_options
@background_option
@location_options
@json_option
def command(
    name: str,
    beir_dir: Path,
    split: str,
    mode: str,
    rerank: str | None,
    rerank_depth: int,
    model: str | None,
    sparse: str | None,
    tokens: str | None,
    background: bool,
    location: Location,
    as_json: bool,
) -> None:
    """Measure collection NAME with the queries and judgments of BEIR_DIR, through the real index."""
    from app.evaluation_job import EvaluationChoices, evaluate_folder

    choices = EvaluationChoices(
        split, () if mode == "all" else (mode,), rerank, rerank_depth, model, sparse, tokens
    )
    if background:
        from app.jobs.kinds.evaluate import describe

        start_in_background(location, "evaluate", describe(name, beir_dir, choices), as_json)
        return
    reports = evaluate_folder(location, name, beir_dir, choices)
    if reports[0].rerank is None:
        note_limits()
    if as_json:
        about = {"collection": name, "split": split}
        if mode == "all":
            echo_json({**about, "modes": {report.mode: report.to_dict() for report in reports}})
        else:
            echo_json({**about, **reports[0].to_dict()})
        return
    rows = [
        [metric, *(f"{report.metrics[metric]:.4f}" for report in reports)] for metric in reports[0].metrics
    ]
    columns = range(1, 1 + len(reports))
    for line in table(["", *(report.mode for report in reports)], rows, right=columns):
        echo(line)
    seconds = sum(report.seconds for report in reports)
    order = "" if reports[0].rerank is None else f", the best {rerank_depth} reranked by {reports[0].rerank}"
    echo(f"{reports[0].queries:,} queries of split {split!r} in {format_duration(seconds)}{order}")
    if reports[0].missing_documents:
        warn(
            f"stlib: {format_count(reports[0].missing_documents, 'relevant document')} not in {name!r}:"
            " counted as not found"
        )
