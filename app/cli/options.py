"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from app.settings import BUNDLED_RERANKER, Location

__all__ = ["MODES", "json_option", "location_options", "mode_option", "rerank_options"]

MODES = ("hybrid", "semantic", "keyword")


def location_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --home and --db; the command gets them as one `location`."""

    @click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder of collections. Default: $STLIB_HOME, else the platform's data folder.",
    )
    @click.option(
        "--db", metavar="URL", help="Database of the catalog, such as sqlite:///notes.db. Default: $STLIB_DB."
    )
    @functools.wraps(function)
    def with_location(*args: Any, home: Path | None, db: str | None, **kwargs: Any) -> Any:
        default = Location.from_environment()
        return function(*args, location=Location(home or default.home, db or default.db), **kwargs)

    return with_location


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")

mode_option = click.option(
    "--mode",
    type=click.Choice(MODES),
    default="hybrid",
    show_default=True,
    help="By meaning and words, by meaning alone, or by words alone.",
)


def rerank_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --rerank and --rerank-depth."""
    depth = click.option(
        "--rerank-depth",
        type=click.IntRange(1, 1000),
        default=50,
        show_default=True,
        help="How many of the best documents the reranker reads.",
    )
    model = click.option(
        "--rerank",
        metavar="MODEL",
        envvar="STLIB_RERANK",
        help=f"Re-order the best documents with a reranker: {BUNDLED_RERANKER} (comes with stlib), the "
        "folder of a cross-encoder, or a model name. Default: $STLIB_RERANK, else no reranking.",
    )
    return model(depth(function))
