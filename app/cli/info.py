"""`stlib info`: what one collection holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from app.cli.options import json_option, location_options
from app.cli.terminal import echo, echo_json, echo_rows, echo_wrapped, style
from app.settings import Location
from app.wording import ROLE_WORDS, format_beside, format_bytes, format_count, format_model

if TYPE_CHECKING:
    from indexing.describe import CollectionInfo

__all__ = ["command"]

_SHOWN_VALUES = 5


@click.command("info")
@click.argument("name")
@location_options
@json_option
def command(name: str, location: Location, as_json: bool) -> None:
    """Show what collection NAME holds: counts, model, sizes, metadata fields."""
    from indexing import Collection

    with Collection.open(name, **location.arguments()) as collection:
        info = collection.info()
        facets = collection.facets(max_values=_SHOWN_VALUES)
        unfinished = collection.unfinished_loads()
    if as_json:
        fields = {
            field: {"documents": f.documents, "distinct": f.distinct, "complete": f.complete}
            for field, f in facets.items()
        }
        echo_json({**info.to_dict(), "unfinished_loads": unfinished, "metadata": fields})
        return
    echo(style(name, bold=True))
    echo_rows(_rows(info), label_width=13)
    for addresses in unfinished:
        echo_wrapped(
            f"stopped: a load of {addresses}; the same `stlib index … --ray` goes on", bold="stopped:"
        )
    for field, facet in facets.items():
        values = ", ".join(_shorten(str(value)) for value, _ in facet.values if value != "")
        more = ", …" * (facet.distinct > _SHOWN_VALUES)
        count = f"{facet.distinct:,}" if facet.complete else f"more than {facet.distinct:,}"
        echo_wrapped(f"{field} ({count} values): {values}{more}", indent="  ", dim=field)


def _rows(info: CollectionInfo) -> list[tuple[str, str]]:
    return [
        ("documents", f"{info.documents:,}"),
        ("passages", f"{info.chunks:,}"),
        ("model", f"{format_model(info.model)}, {info.dimension} dimensions"),
        ("precision", f"{info.precision}, {info.clipped_values:,} values outside the calibrated range"),
        *((ROLE_WORDS[role], format_beside(**one)) for role, one in info.beside.items()),
        ("engine", info.engine),
        ("reranker", info.reranker or "none"),
        ("serving", f"{info.serving}, on generation {info.generation}"),
        ("keyword lag", format_count(info.keyword_lag, "change")),
        ("memory", f"{format_bytes(info.memory_bytes)}, {format_bytes(info.mapped_bytes)} more mapped"),
        ("disk", f"{format_bytes(info.catalog_bytes)} catalog, {format_bytes(info.view_bytes)} views"),
        ("catalog", info.path),
    ]


def _shorten(text: str) -> str:
    return text if len(text) <= 24 else text[:23] + "…"
