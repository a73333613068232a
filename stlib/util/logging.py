"""A logging handler that keeps progress bars intact. Nothing is installed by importing."""

from __future__ import annotations

import logging


class LoggingHandler(logging.Handler):
    """Writes records through ``tqdm.write``, so that a running progress bar is not broken into pieces."""

    def __init__(self, level: int = logging.NOTSET) -> None:
        super().__init__(level)

    def emit(self, record: logging.LogRecord) -> None:
        import tqdm

        try:
            tqdm.tqdm.write(self.format(record))
            self.flush()
        except (KeyboardInterrupt, SystemExit):
            raise
        except Exception:  # noqa: BLE001 - logging must never take the program down; this is the standard hook
            self.handleError(record)


def install_logger(
    given_logger: logging.Logger,
    level: int = logging.WARNING,
    fmt: str = "%(levelname)s:%(name)s:%(message)s",
) -> None:
    """Let one logger write to stderr at ``level`` with ``fmt``; for scripts, as the library installs nothing
    itself.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(fmt))
    given_logger.addHandler(handler)
    given_logger.setLevel(level)
