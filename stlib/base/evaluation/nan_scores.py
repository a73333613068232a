"""What evaluators do about scores that are not numbers, which a diverged model gives.

An evaluation within a training must not end it, and a broken model must not look good: what has such a score
counts as not found, so a model that gives nothing else has metrics of 0, and one warning says so.
"""

from __future__ import annotations

import logging


def warn_of_nan(logger: logging.Logger, missing: int, total: int, what: str = "scores") -> None:
    """Log one warning if some values are not numbers.

    Args:
        logger: of the evaluator.
        missing: how many are not.
        total: how many there are.
        what: their name in the message.
    """
    if missing:
        logger.warning(
            "%d of %d %s are not numbers (nan) and count as not found; look at the model's weights, its "
            "training may have diverged",
            missing,
            total,
            what,
        )
