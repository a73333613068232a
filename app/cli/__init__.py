"""The command `stlib`: parse, call `indexing`, print.

A subcommand's module is imported when it is called, and `indexing` when it is needed, so `stlib --help` and
wrong usage answer at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 used wrongly, 130 stopped by Ctrl-C."""
    try:
        # Imported here so that Ctrl-C before the first line of output ends without a traceback too.
        from app.cli.failures import run
        from app.cli.group import cli
    except KeyboardInterrupt:
        sys.exit(130)
    run(cli, "stlib", arguments)
