"""`stlib jobs`: the work that runs in processes of its own."""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING

import click

from app.cli.options import json_option, location_options
from app.cli.terminal import echo, echo_json, echo_rows, echo_table, style, warn
from app.settings import Location
from app.wording import format_progress

if TYPE_CHECKING:
    from app.jobs.model import Job

__all__ = ["command", "new_lines", "start_in_background"]

_FOLLOW_SECONDS = 0.3


@click.group("jobs", invoke_without_command=True)
@location_options
@json_option
@click.pass_context
def command(context: click.Context, location: Location, as_json: bool) -> None:
    """Show the jobs that `--background` started, and what became of them.

    A job goes on when the terminal is closed. One whose process died is shown as interrupted, and goes on
    where it was with `stlib jobs resume ID`.
    """
    if context.invoked_subcommand is not None:
        context.obj = location
        return
    from app.facade.jobs import jobs_are_known, list_jobs

    jobs = list_jobs(location)
    if as_json:
        echo_json({"jobs": [job.to_dict() for job in jobs]})
    elif not jobs:
        echo("no jobs yet: start one with `stlib index NAME PATH --background`")
    else:
        rows = [
            [str(job.id), job.kind, job.collection, job.state, _progress(job), _when(job.started)]
            for job in jobs
        ]
        echo_table(["id", "kind", "collection", "state", "progress", "started"], rows, right=(0,))
        if any(job.state == "queued" for job in jobs) and not jobs_are_known(location):
            warn(
                "stlib: note: these came with a copied home: `stlib jobs resume ID` starts one that you trust"
            )


@command.command("show")
@click.argument("number", metavar="ID", type=int)
@location_options
@json_option
@click.pass_context
def show(context: click.Context, number: int, location: Location, as_json: bool) -> None:
    """Show everything about job ID."""
    from app.facade.jobs import find_job

    job = find_job(_location(context, location), number)
    if as_json:
        echo_json(job.to_dict())
        return
    echo(style(f"job {job.id}: {job.kind} {job.collection}", bold=True))
    rows = [
        ("state", job.state),
        ("progress", _progress(job)),
        ("error", job.error),
        ("given", _when(job.created) + (f" by {job.who}" if job.who else "")),
        ("started", _when(job.started)),
        ("ended", _when(job.ended)),
        ("process", f"{job.pid} on {job.host}" if job.pid else ""),
        ("arguments", json.dumps(job.arguments, ensure_ascii=False)),
        ("result", "" if job.result is None else json.dumps(job.result, ensure_ascii=False)),
    ]
    echo_rows([(label, value) for label, value in rows if value])


@command.command("log")
@click.argument("number", metavar="ID", type=int)
@click.option("--follow", is_flag=True, help="Go on until the job has ended.")
@location_options
@click.pass_context
def log(context: click.Context, number: int, follow: bool, location: Location) -> None:
    """Print the last lines that job ID wrote."""
    from app.facade.jobs import find_job, read_log

    place = _location(context, location)
    printed: list[str] = []
    while True:
        ended = find_job(place, number).finished
        lines = read_log(place, number)
        for line in new_lines(printed, lines):
            echo(line)
        printed = lines
        if ended or not follow:
            return
        sys.stdout.flush()
        time.sleep(_FOLLOW_SECONDS)


@command.command("cancel")
@click.argument("number", metavar="ID", type=int)
@click.option(
    "--force", is_flag=True, help="Kill its process: for one that does not come to its next commit."
)
@location_options
@click.pass_context
def cancel(context: click.Context, number: int, force: bool, location: Location) -> None:
    """End job ID after its next commit. What it committed stays."""
    from app.facade.jobs import cancel_job

    job = cancel_job(_location(context, location), number, force=force)
    if job.finished:
        echo(f"job {job.id} is {job.state}")
    else:
        echo(f"job {job.id} ends after its next commit; --force does not wait for it")


@command.command("resume")
@click.argument("number", metavar="ID", type=int)
@location_options
@click.pass_context
def resume(context: click.Context, number: int, location: Location) -> None:
    """Start job ID again, which was interrupted or cancelled, or failed. It goes on where it was."""
    from app.facade.jobs import resume_job

    _say_started(resume_job(_location(context, location), number))


def start_in_background(location: Location, kind: str, arguments: dict[str, object], as_json: bool) -> None:
    """Start a job and say its number."""
    from app.facade.jobs import start_job

    job = start_job(location, kind, arguments)
    if as_json:
        echo_json({"job": job.id})
    else:
        _say_started(job)


def _say_started(job: Job) -> None:
    echo(f"job {job.id}: `stlib jobs` shows how far it is")


def _location(context: click.Context, given: Location) -> Location:
    """Both `stlib jobs --home X show 1` and `stlib jobs show 1 --home X` are understood."""
    outer: Location = context.obj
    return outer if given == Location.from_environment() else given


def _progress(job: Job) -> str:
    return format_progress(job.done, job.total, job.unit, job.rate, job.seconds_left)


def _when(seconds: float | None) -> str:
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}"


def new_lines(before: list[str], now: list[str]) -> list[str]:
    """The lines of `now`, the end of a log, that come after `before`, its end a moment ago."""
    for shift in range(len(before) + 1):
        kept = before[shift:]
        if now[: len(kept)] == kept:
            return now[len(kept) :]
    return now
