"""`stlib index`: files and folders into a collection."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from app.cli.beside import beside_options, sparse_of
from app.cli.failures import FAILED
from app.cli.jobs import start_in_background
from app.cli.loading import load_of_addresses, load_options, load_with_progress, path_here, refuse_pruning
from app.cli.options import background_option, json_option, location_options
from app.cli.reading import (
    made_nothing,
    print_problems,
    print_summary,
    prune_options,
    reading_options,
    with_progress,
)
from app.cli.terminal import echo_json
from app.settings import Location
from indexing.names import DEFAULT_ENGINE, DEFAULT_PRECISION, ENGINES, PRECISIONS

if TYPE_CHECKING:
    from app.indexing_job import IndexChoices, IndexSummary, SyncChoices
    from app.loading_job import LoadChoices
    from indexing.documents.options import ReadOptions

__all__ = ["command", "index_with_progress"]

_STANDARD_INPUT = "-"


@click.command("index")
@click.argument("name")
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option("--model", metavar="M", help="Folder or name of a model. Default: the bundled one.")
@click.option("--engine", type=click.Choice(ENGINES), help=f"Vector engine. Default: {DEFAULT_ENGINE}.")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help=f"How vectors are stored. Default: {DEFAULT_PRECISION}.",
)
@beside_options
@reading_options
@prune_options
@click.option(
    "--stdin-name",
    metavar="FILE",
    help="What standard input (PATHS is -) is called and, by its ending, read as. Default: stdin.jsonl if it "
    "begins with a brace, else stdin.txt.",
)
@load_options
@background_option
@location_options
@json_option
@click.pass_context
def command(
    context: click.Context,
    name: str,
    paths: tuple[str, ...],
    model: str | None,
    engine: str | None,
    precision: str | None,
    legs: tuple[str, ...] | None,
    sparse: str | None,
    tokens: str | None,
    reading: ReadOptions | None,
    prune: bool,
    force: bool,
    reread: bool,
    stdin_name: str | None,
    load: LoadChoices | None,
    background: bool,
    location: Location,
    as_json: bool,
) -> None:
    """Bring collection NAME in step with PATHS, files and folders; it is made if there is none.

    PATHS may be addresses too, such as s3://bucket/folder.

    Reads documents, tables, mail, source code and much else; what has no reader is named. Files that have not
    changed are not opened, so a run that was stopped goes on when the command is given again. The folders are
    remembered: `stlib sync NAME` reads what changed in them, `stlib watch NAME` as it changes.
    """
    from app.indexing_job import IndexChoices, SyncChoices

    choices = IndexChoices(model, engine, precision, sparse_of(legs, sparse) or None, tokens or None)
    how = SyncChoices(reading, prune, force, reread)
    summary: IndexSummary
    if _STANDARD_INPUT in paths:
        if len(paths) > 1 or background or load:
            raise click.UsageError(
                "standard input (-) is read by itself, by this process, and not in the background"
            )
        summary = _index_standard_input(location, name, choices, how, stdin_name)
    elif background:
        start_in_background(location, "index", _describe(name, paths, choices, how, load), as_json)
        return
    elif load := load or load_of_addresses(paths):
        refuse_pruning(how)
        summary = load_with_progress(location, name, paths, choices, load, reading)
    else:
        summary = index_with_progress(location, name, [path_here(path) for path in paths], choices, how)
    if as_json:
        echo_json(summary.to_dict())
    else:
        print_summary(summary)
    print_problems(summary)
    if not summary.complete or (made_nothing(summary) and not summary.sync.files.empty):
        context.exit(FAILED)


def _describe(
    name: str, paths: Sequence[str], choices: IndexChoices, how: SyncChoices, load: LoadChoices | None
) -> dict[str, Any]:
    """The arguments of a job."""
    from app.jobs.kinds.index import describe, describe_load

    if load := load or load_of_addresses(paths):
        refuse_pruning(how)
        return describe_load(name, paths, choices, load, how.options)
    return describe(name, [path_here(path) for path in paths], choices, how=how)


def index_with_progress(
    location: Location,
    name: str,
    paths: Sequence[Path],
    choices: IndexChoices | None = None,
    how: SyncChoices | None = None,
) -> IndexSummary:
    """Index with a progress bar on stderr.

    Raises:
        Interrupted: Ctrl-C; the message says how to go on.
    """
    from app.indexing_job import index_paths

    return with_progress(lambda progress: index_paths(location, name, paths, choices, progress, how=how))


def _index_standard_input(
    location: Location, name: str, choices: IndexChoices, how: SyncChoices, called: str | None
) -> IndexSummary:
    """Its documents are of no source: there is nothing to come back to."""
    from app.indexing_job import index_once

    with _kept(sys.stdin.buffer, called) as path:
        return with_progress(lambda progress: index_once(location, name, path, choices, progress, how))


@contextlib.contextmanager
def _kept(stream: BinaryIO, called: str | None) -> Iterator[Path]:
    """`stream` as a file, which its reader opens in another process."""
    with tempfile.TemporaryDirectory(prefix="stlib-") as folder:
        first = stream.read(1 << 16)
        guess = "stdin.jsonl" if first.lstrip()[:1] == b"{" else "stdin.txt"
        path = Path(folder) / Path(called or guess).name
        with path.open("wb") as file:
            while first:
                file.write(first)
                first = stream.read(1 << 20)
        yield path
