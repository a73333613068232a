"""Learning from judgments. Resumed, it learns the same again and takes the candidate it had made.

Its log has a line for everything that was tried, with the gain in cross-validation.
"""

from __future__ import annotations

import logging
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.facade.caller import Caller
from app.facade.tuning import TuneStep, check_choices, tune
from app.settings import Location
from app.tuning.report import EMBED, LEARN, READ

if TYPE_CHECKING:
    from app.jobs.worker import Report

__all__ = ["describe", "run"]

logger = logging.getLogger(__name__)


def describe(
    caller: Caller,
    name: str,
    lever: str,
    promote: str,
    guard: Path | None = None,
    model: str | None = None,
) -> dict[str, Any]:
    """The arguments of a job, from what a person gave.

    Raises:
        BadInput: an unknown lever.
    """
    check_choices(lever, promote)
    return {
        "collection": name,
        "lever": lever,
        "promote": promote,
        "guard": None if guard is None else str(guard.absolute()),
        "who": caller.name,
        "surface": caller.surface,
        "key": secrets.token_hex(8),
        "model": model,
    }


def run(location: Location, arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    units = {READ: "questions read", LEARN: "settings tried", EMBED: "changes embedded"}

    def progress(step: TuneStep) -> None:
        if step.gain is not None:
            logger.info("%s, %s: %+.4f", step.lever, step.what, step.gain)
        report.now_and_then(step.done, step.total, units.get(step.stage, "parts tested"))

    guard = arguments["guard"]
    done = tune(
        # Who started it had the right.
        Caller(arguments["who"], arguments["surface"]),
        location,
        arguments["collection"],
        arguments["lever"],
        arguments["promote"],
        guard=None if guard is None else Path(guard),
        progress=progress,
        key=arguments["key"],
        model=arguments.get("model"),
    )
    logger.info("%s", done.sentence)
    return done.to_dict()
