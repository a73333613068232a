"""What earlier generations called otherwise: it keeps working, and the name of today is told once."""

from __future__ import annotations

import logging
import warnings

logger = logging.getLogger(__name__)

_told: set[str] = set()


def tell_once(message: str) -> None:
    """Log a warning, the first time that this process has it to say."""
    if message not in _told:
        _told.add(message)
        logger.warning(message)


def tell_older_name(owner: str, older: str, newer: str) -> None:
    """Log once that an argument or method of ``owner`` has another name today."""
    tell_once(f"{owner}: {older} is an older name; write {newer}")


def warn_older_name(
    older: str, newer: str, category: type[Warning] = DeprecationWarning, stacklevel: int = 2
) -> None:
    """Warn the caller of whoever calls this that ``older`` is called ``newer`` today.

    Python shows it once for each place in the code.
    """
    warnings.warn(f"{older} is an older name; write {newer}", category, stacklevel=stacklevel + 1)
