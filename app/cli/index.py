"""`stlib index`: files and folders into a collection."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.failures import FAILED, Interrupted
from app.cli.jobs import start_in_background
from app.cli.options import background_option, json_option, location_options
from app.cli.progress import ProgressBar
from app.cli.terminal import echo_json, echo_rows, echo_wrapped, warn
from app.settings import Location
from app.wording import format_bytes, format_count, format_duration, format_model
from indexing.names import DEFAULT_ENGINE, DEFAULT_PRECISION, ENGINES, PRECISIONS

if TYPE_CHECKING:
    from app.indexing_job import IndexChoices, IndexSummary
    from indexing import AddReport
    from indexing.describe import CollectionInfo
    from indexing.documents import ReadReport

__all__ = ["command", "index_with_progress", "print_problems", "print_summary"]

_SHOWN_SKIPS = 20


@click.command("index")
@click.argument("name")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", metavar="M", help="Folder or name of a model. Default: the bundled one.")
@click.option("--engine", type=click.Choice(ENGINES), help=f"Vector engine. Default: {DEFAULT_ENGINE}.")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help=f"How vectors are stored. Default: {DEFAULT_PRECISION}.",
)
@background_option
@location_options
@json_option
@click.pass_context
def command(
    context: click.Context,
    name: str,
    paths: tuple[Path, ...],
    model: str | None,
    engine: str | None,
    precision: str | None,
    background: bool,
    location: Location,
    as_json: bool,
) -> None:
    """Add the documents under PATHS to collection NAME, which is made if there is none.

    Reads text, Markdown, HTML, CSV, JSONL, Parquet and BEIR folders; folders are walked. Unchanged
    documents are not embedded again, so a run that was stopped goes on when the command is given again.
    """
    from app.indexing_job import IndexChoices

    choices = IndexChoices(model, engine, precision)
    if background:
        from app.jobs.kinds.index import describe

        start_in_background(location, "index", describe(name, paths, choices), as_json)
        return
    summary = index_with_progress(location, name, paths, choices)
    if as_json:
        echo_json(summary.to_dict())
    else:
        print_summary(summary)
    print_problems(summary)
    if not summary.complete or _made_nothing(summary):
        context.exit(FAILED)


def index_with_progress(
    location: Location, name: str, paths: Sequence[Path], choices: IndexChoices | None = None
) -> IndexSummary:
    """Index with a progress bar on stderr.

    Raises:
        Interrupted: Ctrl-C; the message says how to go on.
    """
    from app.indexing_job import index_paths

    # The reader logs what its report also holds; the summary tells it once.
    logging.getLogger("indexing.documents").setLevel(logging.ERROR)
    with ProgressBar() as bar:

        def progress(added: AddReport, read: ReadReport) -> None:
            """How many documents there are is only known at the end: the share is one of bytes."""
            bar.show(read.bytes_read / read.bytes_total if read.bytes_total else 0.0, added.committed)

        try:
            return index_paths(location, name, paths, choices, progress)
        except KeyboardInterrupt:
            raise Interrupted(
                f"stopped; {format_count(bar.committed, 'document')} of this run stay committed:"
                " run it again to go on"
            ) from None


def print_summary(summary: IndexSummary) -> None:
    """What the collection holds and what this run did; if none was made, only what was passed over."""
    if _made_nothing(summary):
        echo_rows(_passed_over(summary))
        return
    added, info = summary.added, summary.info
    held = f"{format_count(info.documents, 'document')} in {format_count(info.chunks, 'passage')}"
    echo_wrapped(
        f"{summary.collection}: {held} ({format_model(info.model)}, {info.precision}, {info.engine})",
        bold=summary.collection,
    )
    changes = f"{added.added:,} added, {added.updated:,} updated, {added.unchanged:,} unchanged"
    if added.duplicates:
        changes += f", {added.duplicates:,} replaced by a later one of the same id"
    rate = added.committed / added.seconds if added.seconds else 0.0
    rows = [
        ("documents", changes),
        *_passed_over(summary),
        ("time", f"{format_duration(added.seconds)}, {rate:,.0f} documents/s"),
        ("keyword lag", format_count(added.keyword_lag, "change")),
        ("memory", format_bytes(info.memory_bytes)),
        ("disk", _disk(info)),
    ]
    echo_rows(rows)


def _passed_over(summary: IndexSummary) -> list[tuple[str, str]]:
    rows = [("skipped", f"{summary.added.skipped:,}")]
    if unsupported := summary.read.unsupported:
        kinds = ", ".join(f"{ending or 'no extension'} {n:,}" for ending, n in unsupported.most_common(5))
        rows.append(
            ("not read", f"{format_count(sum(unsupported.values()), 'file')} of other kinds ({kinds})")
        )
    return rows


def _made_nothing(summary: IndexSummary) -> bool:
    """True when the collection would have been new, and got no document."""
    return summary.created and not summary.info.documents


def _disk(info: CollectionInfo) -> str:
    catalog, views = info.catalog_bytes, info.view_bytes
    return f"{format_bytes(catalog + views)} ({format_bytes(catalog)} catalog, {format_bytes(views)} views)"


def print_problems(summary: IndexSummary) -> None:
    """One line on stderr for each thing of the input that is not in the collection."""
    added = summary.added
    for skip in added.skips[:_SHOWN_SKIPS]:
        warn(f"stlib: skipped {skip}")
    if added.skipped > _SHOWN_SKIPS:
        warn(f"stlib: skipped {added.skipped - _SHOWN_SKIPS:,} more (--json lists up to 1,000)")
    if added.duplicates:
        warn(
            f"stlib: {format_count(added.duplicates, 'document')} had the id of a later one in this run:"
            " the last one wins"
        )
    if added.renamed:
        warn(
            f"stlib: note: {format_count(added.renamed, 'document')} got the name of a folder before the id,"
            " because another file has the short one"
        )
    if added.moved:
        warn(
            f"stlib: note: {format_count(added.moved, 'document')} replaced, as if the folder had been moved:"
            " the file it came from is gone"
        )
    for note in summary.notes[:_SHOWN_SKIPS]:
        warn(f"stlib: note: {note}")
    if _made_nothing(summary):
        warn(f"stlib: nothing could be indexed; collection {summary.collection!r} was not made")
