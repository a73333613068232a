"""`stlib worker`: run jobs in the foreground, as a container does."""

from __future__ import annotations

import signal

import click

from app.cli.failures import FAILED
from app.cli.options import location_options
from app.cli.terminal import echo, warn
from app.settings import Location

__all__ = ["command"]


@click.command("worker")
@click.option("--once", is_flag=True, help="End when no job is left; with exit code 1 if one of them failed.")
@click.option("--check", is_flag=True, help="Run nothing: exit code 1 if no worker of this host lives.")
@location_options
@click.pass_context
def command(context: click.Context, once: bool, check: bool, location: Location) -> None:
    """Run the queued jobs, one after the other, until Ctrl-C or SIGTERM.

    Jobs start by themselves where they are given; this is for a container, or for those that were left. A
    job that runs when the worker is stopped is interrupted, and goes on with `stlib jobs resume ID`.
    """
    from app.facade.jobs import run_queue, worker_lives_here

    if check:
        if not worker_lives_here(location):
            raise click.ClickException("no worker of this host looks after these jobs: start `stlib worker`")
        return
    failed = False
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for job in run_queue(location, once=once):
            echo(f"job {job.id}: {job.kind} {job.collection!r}: {job.state}")
            failed = failed or job.state == "failed"
    except KeyboardInterrupt:
        warn("stlib: stopped; `stlib jobs` shows what is left")
    finally:
        signal.signal(signal.SIGTERM, before)
    if failed:
        context.exit(FAILED)
