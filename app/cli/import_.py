"""`stlib import`: documents of a Parquet file, with the vectors that came along."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.failures import FAILED
from app.cli.options import json_option, location_options
from app.cli.progress import ProgressBar
from app.cli.terminal import echo, echo_json, warn
from app.settings import Location
from app.wording import format_count, format_duration

if TYPE_CHECKING:
    from indexing import AddReport

__all__ = ["command"]

_SHOWN = 5


@click.command("import")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--model", metavar="M", help="Folder or name of the model of the vectors, where it was never used here."
)
@location_options
@json_option
@click.pass_context
def command(
    context: click.Context, name: str, file: Path, model: str | None, location: Location, as_json: bool
) -> None:
    """Add the documents of the Parquet file FILE to collection NAME, which is made if there is none.

    FILE comes from `stlib export NAME --vectors -o FILE`, or has columns id, text, title and metadata (JSON).
    Vectors are taken over where the collection's model is the one that made them; else texts are embedded.
    """
    from app.facade.caller import local_caller
    from app.facade.exchange import import_parquet
    from indexing.writing.parquet import ParquetDocuments

    with ProgressBar() as bar, ParquetDocuments(file) as parquet:
        total = max(1, parquet.count)

        def show(report: AddReport) -> None:
            bar.show(min(1.0, report.received / total), report.committed)

        imported = import_parquet(
            local_caller("cli"), location, name, file, model=model, on_error="skip", progress=show
        )
    report = imported.report
    if as_json:
        echo_json(imported.to_dict())
    else:
        counted = f"{report.added:,} added, {report.updated:,} updated, {report.unchanged:,} unchanged"
        passages = format_count(report.chunks, "passage")
        echo(f"{name}: {format_count(report.received, 'document')} read, {counted}, {passages}")
        echo(
            f"  time  {format_duration(report.seconds)}, {format_duration(report.embed_seconds)} for vectors"
        )
    for note in report.notes:
        warn(f"stlib: note: {note}")
    for skipped in report.skips[:_SHOWN]:
        warn(f"stlib: skipped {skipped}")
    if report.skipped > _SHOWN:
        warn(f"stlib: skipped {report.skipped - _SHOWN:,} more (--json lists up to 1,000)")
    if report.skipped or report.denied:
        context.exit(FAILED)
