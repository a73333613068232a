"""The option --filter, and what is said where it cannot be understood."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from app.cli.failures import USAGE
from app.cli.terminal import warn
from app.text import caret

__all__ = ["filter_option", "point_at_errors"]

filter_option = click.option(
    "--filter", "filter_", metavar="EXPRESSION", help="Condition on metadata: \"module = 'itertools'\"."
)


@contextmanager
def point_at_errors(context: click.Context, filter_: str | None) -> Iterator[None]:
    """Ends the command where `filter_` is wrong, with a caret under the place."""
    from indexing.errors import FilterError

    try:
        yield
    except FilterError as error:
        warn(f"stlib: {error}")
        if error.position is not None:
            for line in caret(filter_ or "", error.position).split("\n"):
                warn(line)
        context.exit(USAGE)
