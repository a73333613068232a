"""`stlib export`: documents as JSON lines, which `stlib index` reads again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from app.cli.filters import filter_option, point_at_errors
from app.cli.options import location_options
from app.cli.show import describe_document
from app.cli.terminal import echo_json
from app.settings import Location

if TYPE_CHECKING:
    from indexing.catalog.stored import StoredDocument

__all__ = ["command"]

# So many are held in memory at once: their texts may be whole books, and with their vectors.
_BATCH = 50


@click.command("export")
@click.argument("name")
@filter_option
@click.option("--vectors", is_flag=True, help="With passages and their vectors, as they are stored.")
@location_options
@click.pass_context
def command(
    context: click.Context, name: str, filter_: str | None, vectors: bool, location: Location
) -> None:
    """Write the documents of collection NAME to standard output, one JSON object a line, by their ids.

    An object has id, title, text and metadata; `stlib index` reads such a file. Others may search and add
    meanwhile.
    """
    from indexing import Collection

    with Collection.open(name, **location.arguments()) as collection, point_at_errors(context, filter_):
        for document in collection.documents(filter_, batch=_BATCH, passages=vectors):
            echo_json({**describe_document(document), **_vectors(document)}, lines=True)


def _vectors(document: StoredDocument) -> dict[str, object]:
    if document.passages is None:
        return {}
    return {
        "vectors": [
            {"start": one.start, "end": one.end, "vector": one.vector.tolist()} for one in document.passages
        ]
    }
