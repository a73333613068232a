"""Failures become one line on stderr and an exit code, here and nowhere else."""

from __future__ import annotations

import errno
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from app.cli.terminal import warn

__all__ = ["FAILED", "INTERRUPTED", "USAGE", "Interrupted", "report_failure", "run"]

FAILED = 1
USAGE = 2
INTERRUPTED = 130


class Interrupted(Exception):
    """Ctrl-C came; the message says what was kept and how to go on."""


def run(command: click.Command, name: str, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `command` under the name `name` and exit with what came of it."""
    _replace_closed_streams()
    _report_through_the_door()
    # It logs a Ctrl-C that comes while a connection is closed, with its traceback.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    try:
        code = command.main(arguments, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as failure:  # noqa: BLE001 - here failures become exit codes
        code = report_failure(failure)
    sys.exit(code or 0)


def _report_through_the_door() -> None:
    """Log records and the traceback of a bug may quote names from outside: they are made plain too."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(_Handler(logging.WARNING))
    sys.excepthook = _print_traceback


class _Handler(logging.Handler):
    """Says on stderr what `logging` would say there, in the same words."""

    def emit(self, record: logging.LogRecord) -> None:
        for line in self.format(record).split("\n"):
            warn(line)


def _print_traceback(*failure: Any) -> None:
    for line in "".join(traceback.format_exception(*failure)).rstrip("\n").split("\n"):
        warn(line)


def _replace_closed_streams() -> None:
    """`stlib … >&-` leaves Python without a stream, and its number free for the next file that is opened."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        continue
    os.close(number)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, "w", encoding="utf-8", closefd=False))


def report_failure(failure: BaseException) -> int:
    """Say what went wrong and return the exit code. A failure that nobody expected is raised again."""
    if isinstance(failure, click.exceptions.Exit):
        return failure.exit_code
    if isinstance(failure, click.exceptions.NoArgsIsHelpError) and failure.ctx is not None:
        for line in failure.ctx.get_help().split("\n"):
            warn(line)
        return USAGE
    if isinstance(failure, click.UsageError):
        return _say(_usage_message(failure), USAGE)
    if isinstance(failure, click.ClickException):
        return _say(failure.format_message(), FAILED)
    if isinstance(failure, Interrupted):
        return _say(str(failure), INTERRUPTED)
    if isinstance(failure, (KeyboardInterrupt, click.Abort)):
        return _say("stopped", INTERRUPTED)
    if isinstance(failure, BrokenPipeError):
        return _reader_went_away()
    if isinstance(failure, OSError):
        return _say(_os_message(failure), FAILED)

    from indexing.errors import IndexingError
    from stlib.runtime.errors import ModelError

    if isinstance(failure, (IndexingError, ModelError)):
        return _say(str(failure), FAILED)
    raise failure


def _say(message: str, code: int) -> int:
    warn(f"stlib: {message}")
    return code


def _usage_message(failure: click.UsageError) -> str:
    message = failure.format_message().rstrip(".")
    message = message[:1].lower() + message[1:]
    command = failure.ctx.command_path if failure.ctx is not None else "stlib"
    return f"{message} (see `{command} --help`)"


def _os_message(failure: OSError) -> str:
    where = f"{failure.filename}: " if failure.filename else ""
    if failure.errno == errno.ENOSPC:
        return f"{where}the disk is full; what was committed is kept: free some space and run this again"
    return f"{where}{failure.strerror or failure}"


def _reader_went_away() -> int:
    """`stlib … | head` closed our output: end quietly, and keep Python quiet while it shuts down."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED
