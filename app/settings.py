"""Where the command line, the search page and the demo look for collections.

The choice travels between processes in environment variables, so a page started by `stlib ui --home X`
sees what `stlib index --home X` wrote:

    STLIB_HOME   the folder of collections (default: the platform's folder for application data)
    STLIB_DB     a database URL, for catalogs that live elsewhere
    STLIB_RERANK a reranker, which `stlib search` and `stlib evaluate` use and the page offers (default: the
                 page offers the bundled one; empty: it offers none)
    STLIB_JOBS   how many jobs of a home run at a time (default: 1, as each may use all processors)
    STLIB_LOG    what is kept of each search: `on` (default), `hashes` for keyed hashes in place of question,
                 filter and person, `off` for nothing
    STLIB_LOG_DAYS  after how many days that is forgotten (default: 365; 0: never)

`indexing` reads two more by itself:

    STLIB_STATE           the folder of what this machine knows, outside any home (default: the platform's)
    STLIB_TRUSTED_MODELS  fingerprints of models that may be opened though nobody gave them by hand here
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from indexing.errors import BadInput
from indexing.names import BUNDLED_RERANKER

__all__ = [
    "DEMO_COLLECTION",
    "EXAMPLE_QUESTIONS",
    "HOME_VARIABLE",
    "Location",
    "LogSettings",
    "jobs_at_once",
    "log_settings",
    "reranker_from_environment",
]

HOME_VARIABLE = "STLIB_HOME"
DB_VARIABLE = "STLIB_DB"
RERANK_VARIABLE = "STLIB_RERANK"
JOBS_VARIABLE = "STLIB_JOBS"
LOG_VARIABLE = "STLIB_LOG"
LOG_DAYS_VARIABLE = "STLIB_LOG_DAYS"

LogMode = Literal["on", "hashes", "off"]

# The collection `make demo` makes from the standard library of the running Python.
DEMO_COLLECTION = "python-stdlib"

# Offered by an empty search page over the demo's collection; the demo asks the first three.
EXAMPLE_QUESTIONS = (
    "run a command and capture its output",
    "merge two sorted lists",
    "find files by a pattern in all subfolders",
    "convert a date string to a datetime",
    "remember the results of a slow function",
)


@dataclass(frozen=True)
class Location:
    """Where collections are: a home folder, a database URL, or (both None) the platform's default."""

    home: Path | None = None
    db: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Location:
        environment = os.environ if environment is None else environment
        home = environment.get(HOME_VARIABLE)
        return cls(Path(home) if home else None, environment.get(DB_VARIABLE) or None)

    def to_environment(self) -> dict[str, str]:
        """The variables from which `from_environment` makes this location again, from any working folder."""
        variables = {}
        if self.home is not None:
            variables[HOME_VARIABLE] = str(self.home.expanduser().absolute())
        if self.db is not None:
            variables[DB_VARIABLE] = _absolute_url(self.db)
        return variables

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for `Collection.open` and its kin."""
        return {"home": self.home, "db": self.db}


def reranker_from_environment(environment: Mapping[str, str] | None = None) -> str | None:
    """Folder or name of the reranker that the page offers: by default the bundled one; None for none."""
    environment = os.environ if environment is None else environment
    return environment.get(RERANK_VARIABLE, BUNDLED_RERANKER) or None


def jobs_at_once(environment: Mapping[str, str] | None = None) -> int:
    """How many jobs of a home may run at a time.

    Raises:
        BadInput: the variable holds no number above 0.
    """
    environment = os.environ if environment is None else environment
    configured = environment.get(JOBS_VARIABLE) or "1"
    if not (configured.isascii() and configured.isdecimal() and int(configured) > 0):
        raise BadInput(f"{JOBS_VARIABLE} is {configured!r}: give a whole number above 0")
    return int(configured)


@dataclass(frozen=True)
class LogSettings:
    """What is kept of each search, and for how many days; None keeps it until somebody erases it.

    A year is long enough to learn from what people ask in every season of it.
    """

    mode: LogMode = "on"
    days: int | None = 365


def log_settings(environment: Mapping[str, str] | None = None) -> LogSettings:
    """What the environment says about the log of searches.

    Raises:
        BadInput: a variable holds something else than its documented values.
    """
    environment = os.environ if environment is None else environment
    mode = environment.get(LOG_VARIABLE) or "on"
    if mode not in get_args(LogMode):
        raise BadInput(f"{LOG_VARIABLE} is {mode!r}: use one of {', '.join(get_args(LogMode))}")
    days = environment.get(LOG_DAYS_VARIABLE) or "365"
    if not (days.isascii() and days.isdecimal() and len(days) < 7):
        raise BadInput(f"{LOG_DAYS_VARIABLE} is {days!r}: give a whole number of days, 0 for no end")
    return LogSettings(mode, int(days) or None)  # type: ignore[arg-type]


def _absolute_url(db: str) -> str:
    """`db` with the relative path of a SQLite URL (three slashes) made absolute; any other URL as it is."""
    scheme, separator, path = db.partition(":///")
    if not separator or not scheme.startswith("sqlite") or path.startswith("/"):
        return db
    return f"{scheme}:///{Path(path).expanduser().absolute()}"
