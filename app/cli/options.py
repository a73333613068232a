"""Options that several commands share."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from app.cli.terminal import warn
from app.settings import RERANK_VARIABLE, Location
from indexing.names import BUNDLED_RERANKER, DEFAULT_MODE, DEFAULT_RERANK_DEPTH, MODES, TOKENS_RERANKER

__all__ = [
    "background_option",
    "json_option",
    "location_options",
    "mode_option",
    "model_options",
    "note_limits",
    "rerank_options",
]


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

background_option = click.option(
    "--background", is_flag=True, help="Start a job, which goes on without this terminal, and return at once."
)

mode_option = click.option(
    "--mode",
    type=click.Choice(MODES),
    default=DEFAULT_MODE,
    show_default=True,
    help="By meaning and words, by meaning alone, or by words alone.",
)


def model_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --model, --sparse and --tokens, for a collection whose models this machine does not know."""
    known = "that the collection was made with. Needed once for a collection that came from another machine"
    model = click.option(
        "--model", metavar="M", help=f"Folder or name of the model {known}, and after the model was moved."
    )
    sparse = click.option("--sparse", metavar="M", help=f"The same for the model of weighted terms {known}.")
    tokens = click.option("--tokens", metavar="M", help=f"The same for the late-interaction model {known}.")
    return model(sparse(tokens(function)))


def rerank_options(*, budget: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --rerank and --rerank-depth, where the command can stop early also --rerank-budget.

    Where nothing is given `rerank` is None, and what is served decides.
    """
    model = click.option(
        "--rerank",
        metavar="MODEL",
        envvar=RERANK_VARIABLE,
        help=f"Re-order the best documents with a reranker: {BUNDLED_RERANKER} (comes with stlib), the "
        "folder of a cross-encoder (an ONNX file and its tokenizer.json are enough), a hub id, or "
        f"{TOKENS_RERANKER} for the vectors of tokens of a collection that has them. "
        + ("See --rerank-budget for slow ones. " if budget else "")
        + "Default: $STLIB_RERANK, else the reranker of what is served, if it has one; '' for none.",
    )
    depth = click.option(
        "--rerank-depth",
        type=click.IntRange(1, 1000),
        default=DEFAULT_RERANK_DEPTH,
        show_default=True,
        help="How many of the best documents the reranker reads.",
    )
    milliseconds = click.option(
        "--rerank-budget",
        type=click.FloatRange(min=0),
        callback=_number,
        metavar="MS",
        help="Stop reranking after so many milliseconds, and put first what was read. Default: read all.",
    )

    def with_reranker(function: Callable[..., Any]) -> Callable[..., Any]:
        return model(depth(milliseconds(function) if budget else function))

    return with_reranker


def _number(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse NaN, which lies in every range."""
    if value is not None and math.isnan(value):
        raise click.BadParameter(f"{value} is no number of milliseconds", context, parameter)
    return value


def note_limits() -> None:
    """Notes that limits were given and nothing was reranked: whoever gives them expects a reranker."""
    context = click.get_current_context()
    given = [
        f"--{name.replace('_', '-')}"
        for name in ("rerank_depth", "rerank_budget")
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if given:
        verb = "does" if len(given) == 1 else "do"
        warn(
            f"stlib: note: {' and '.join(given)} {verb} nothing without a reranker: add --rerank MODEL,"
            f" such as --rerank {BUNDLED_RERANKER}"
        )
