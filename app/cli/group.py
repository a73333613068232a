"""The commands of `stlib` and the modules that hold them."""

from __future__ import annotations

import click

from app.cli.lazy import LazyGroup
from stlib import __version__

__all__ = ["cli"]


@click.group(
    cls=LazyGroup,
    commands_at={
        "index": ("app.cli.index", "Add files and folders to a collection."),
        "sync": ("app.cli.sync", "Read what changed in a collection's folders."),
        "watch": ("app.cli.watch", "Keep a collection in step with its folders."),
        "sources": ("app.cli.sources", "Show the folders of a collection."),
        "search": ("app.cli.search", "Ask a collection a question."),
        "show": ("app.cli.show", "Show documents by their ids."),
        "evaluate": ("app.cli.evaluate", "Measure a collection with queries and judgments."),
        "report": ("app.cli.report", "Compare ways of searching, as one page."),
        "list": ("app.cli.list", "Show every collection."),
        "info": ("app.cli.info", "Show what a collection holds."),
        "plan": ("app.cli.plan", "Say what more documents will need."),
        "export": ("app.cli.export", "Write documents as JSON lines or Parquet."),
        "import": ("app.cli.import_", "Add documents of a Parquet file with vectors."),
        "delete": ("app.cli.delete", "Delete documents, or a whole collection."),
        "erase": ("app.cli.erase", "Erase documents for good, with a receipt."),
        "reindex": ("app.cli.reindex", "Change model, precision, engine or ranking."),
        "tune": ("app.cli.tune", "Learn from what people said of answers."),
        "history": ("app.cli.history", "Show what a collection serves, and served."),
        "promote": ("app.cli.promote", "Let another serving answer."),
        "rollback": ("app.cli.rollback", "Go back to what answered before."),
        "trial": ("app.cli.trial", "Show what people prefer of two servings."),
        "relocate": ("app.cli.relocate", "Say where a model lies now."),
        "drop-generation": ("app.cli.drop_generation", "Delete vectors that nobody goes back to."),
        "compact": ("app.cli.compact", "Give free space back to the disk."),
        "verify": ("app.cli.verify", "Check a collection's files against its catalog."),
        "backup": ("app.cli.backup", "Write collections into one file."),
        "restore": ("app.cli.restore", "Make collections of a backup again."),
        "copy": ("app.cli.copy", "Copy a collection to another home or database."),
        "feedback": ("app.cli.feedback", "Say which answers were right; keep, move, erase."),
        "replay": ("app.cli.replay", "Ask again what was asked, and see what changed."),
        "jobs": ("app.cli.jobs", "Show jobs, follow, cancel and resume them."),
        "worker": ("app.cli.worker", "Run queued jobs in the foreground."),
        "ui": ("app.cli.ui", "Open the search page."),
        "serve": ("app.cli.serve", "Serve collections over HTTP."),
        "mcp": ("app.cli.mcp", "Serve collections to agents (MCP)."),
        "keys": ("app.cli.keys", "Make, show and revoke keys of the service."),
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="stlib %(version)s")
def cli() -> None:
    """Search your own documents by meaning.

    \b
    stlib index notes ~/notes
    stlib search notes "who audits us"
    stlib ui
    """
