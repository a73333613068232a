"""The command `stlib`: parse, call `indexing`, print.

A subcommand's module is imported when it is called, and `indexing` when it is needed, so `stlib --help` and
wrong usage answer at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from app.cli.failures import run
from app.cli.lazy import LazyGroup
from stlib import __version__

__all__ = ["cli", "main"]


@click.group(
    cls=LazyGroup,
    commands_at={
        "index": ("app.cli.index", "Add files and folders to a collection."),
        "search": ("app.cli.search", "Ask a collection a question."),
        "evaluate": ("app.cli.evaluate", "Measure a collection with queries and judgments."),
        "list": ("app.cli.list", "Show every collection."),
        "info": ("app.cli.info", "Show what a collection holds."),
        "delete": ("app.cli.delete", "Delete documents, or a whole collection."),
        "verify": ("app.cli.verify", "Check a collection's files against its catalog."),
        "ui": ("app.cli.ui", "Open the search page."),
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="stlib %(version)s")
def cli() -> None:
    """Search your own documents by meaning.

    \b
    stlib index notes ~/notes
    stlib search notes "when do we meet the auditors"
    stlib ui
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 used wrongly, 130 stopped by Ctrl-C."""
    run(cli, "stlib", arguments)
