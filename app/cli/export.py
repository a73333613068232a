"""`stlib export`: documents as JSON lines, which `stlib index` reads again, or as a Parquet file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.filters import filter_option, point_at_errors
from app.cli.options import location_options
from app.cli.show import describe_document
from app.cli.terminal import echo, echo_json
from app.settings import Location
from app.wording import format_bytes, format_count

if TYPE_CHECKING:
    from indexing.catalog.stored import StoredDocument

__all__ = ["command"]

# So many are held in memory at once: their texts may be whole books, and with their vectors.
_BATCH = 50


@click.command("export")
@click.argument("name")
@filter_option
@click.option("--vectors", is_flag=True, help="With passages and their vectors, as they are stored.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write a Parquet file instead."
)
@location_options
@click.pass_context
def command(
    context: click.Context,
    name: str,
    filter_: str | None,
    vectors: bool,
    output: Path | None,
    location: Location,
) -> None:
    """Write the documents of collection NAME to standard output, one JSON object a line, by their ids.

    An object has id, title, text and metadata; `stlib index` reads such a file. Others may search and add
    meanwhile.

    With --output they go into a new Parquet file, which pandas, polars and pyarrow read, and with --vectors
    `stlib import` without embedding anew. Its columns are id, title, text, metadata (JSON) and passages, a
    list of start, end and vector; its key "stlib" says which model made them.
    """
    if output is not None:
        with point_at_errors(context, filter_):
            _write_parquet(name, output, filter_, vectors, location)
        return
    from indexing import Collection

    with Collection.open(name, **location.arguments()) as collection, point_at_errors(context, filter_):
        for document in collection.documents(filter_, batch=_BATCH, passages=vectors):
            echo_json({**describe_document(document), **_vectors(document)}, lines=True)


def _write_parquet(name: str, output: Path, filter_: str | None, vectors: bool, location: Location) -> None:
    from app.facade.caller import local_caller
    from app.facade.exchange import export_parquet

    count = export_parquet(local_caller("cli"), location, name, output, filter=filter_, vectors=vectors)
    echo(f"{output}: {format_count(count, 'document')}, {format_bytes(output.stat().st_size)}")


def _vectors(document: StoredDocument) -> dict[str, object]:
    if document.passages is None:
        return {}
    return {
        "vectors": [
            {"start": one.start, "end": one.end, "vector": one.vector.tolist()} for one in document.passages
        ]
    }
