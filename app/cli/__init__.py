"""The command `stlib`: parse, call `indexing`, print.

A subcommand's module is imported when it is called, and `indexing` when it is needed, so `stlib --help` and
wrong usage answer at once.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 used wrongly, 130 stopped by Ctrl-C."""
    keep_interrupts()
    try:
        # Imported here so that Ctrl-C before the first line of output ends without a traceback too.
        from app.cli.failures import run
        from app.cli.group import cli
    except KeyboardInterrupt:
        sys.exit(130)
    run(cli, "stlib", arguments)


def _interrupt() -> None:
    """Ctrl-C for the main thread, be it asleep."""
    main = threading.main_thread().ident
    if main is not None and hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main, signal.SIGINT)
    else:
        _thread.interrupt_main()


def keep_interrupts() -> None:
    """Raise Ctrl-C again where Python would lose it with a traceback: in a finalizer or a weak callback.

    Imports run many of those. The second interrupt comes a moment later from a thread, when the main thread
    has left the callback.
    """
    report = sys.unraisablehook

    def interrupt_again(lost: sys.UnraisableHookArgs, /) -> None:
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            report(lost)
        elif not sys.is_finalizing():
            timer = threading.Timer(0.01, _interrupt)
            timer.daemon = True
            timer.start()

    sys.unraisablehook = interrupt_again
