"""Where the command line, the search page and the demo look for collections.

The choice travels between processes in environment variables, so a page started by `stlib ui --home X`
sees what `stlib index --home X` wrote:

    STLIB_HOME   the folder of collections (default: the platform's folder for application data)
    STLIB_DB     a database URL, for catalogs that live elsewhere
    STLIB_RERANK a reranker, which `stlib search` and `stlib evaluate` use and the page offers (default: the
                 page offers `tokens` where a collection has vectors of them, else the bundled one; empty: it
                 offers none)
    STLIB_JOBS   how many jobs of a home run at a time (default: 1, as each may use all processors; 0: this
                 process starts none, and a `stlib worker` elsewhere does)
    STLIB_HOST   the address that the page listens on (default: 127.0.0.1, this machine alone)
    STLIB_USER_HEADER
                 the header in which a proxy before the page says who its visitor is
    STLIB_SERVER the address of a service that the page asks, in place of a home
    STLIB_SERVER_KEY, STLIB_SERVER_KEY_FILE, STLIB_ADMIN_FOR_ALL
                 the key that the page has for it, or a file with that key in it
    STLIB_FOLDERS
                 folders, separated as in PATH, below which the page may read others into a collection; only
                 where the page listens to this machine alone (default: none)
    STLIB_UPLOAD_MIB, STLIB_UPLOADS_MIB, STLIB_UPLOADED_FILES
                 what one file, all files, and how many files visitors of the page may leave in a home
    STLIB_LOG    what is kept of each search: `on` (default), `hashes` for keyed hashes in place of question,
                 filter and person, `off` for nothing
    STLIB_LOG_DAYS  after how many days that is forgotten (default: 365; 0: never)

`indexing` reads two more by itself:

    STLIB_STATE           the folder of what this machine knows, outside any home (default: the platform's)
    STLIB_TRUSTED_MODELS  fingerprints of models that may be opened though nobody gave them by hand here
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from indexing.errors import BadInput
from indexing.names import BUNDLED_MODEL, BUNDLED_RERANKER, TOKENS_RERANKER
from indexing.storage.paths import ServerDatabase, database_address, home_folder

__all__ = [
    "ADMIN_FOR_ALL_VARIABLE",
    "DEMO_COLLECTION",
    "EXAMPLE_QUESTIONS",
    "FOLDERS_VARIABLE",
    "HOME_VARIABLE",
    "HOST_VARIABLE",
    "JOBS_VARIABLE",
    "LOOPBACK",
    "SERVER_KEY_FILE_VARIABLE",
    "SERVER_KEY_VARIABLE",
    "SERVER_VARIABLE",
    "USER_HEADER_VARIABLE",
    "Location",
    "LogSettings",
    "UploadLimits",
    "absolute_model",
    "absolute_reranker",
    "folder_roots",
    "host_from_environment",
    "is_loopback",
    "jobs_at_once",
    "log_settings",
    "reranker_from_environment",
    "upload_limits",
]

HOME_VARIABLE = "STLIB_HOME"
DB_VARIABLE = "STLIB_DB"
RERANK_VARIABLE = "STLIB_RERANK"
JOBS_VARIABLE = "STLIB_JOBS"
HOST_VARIABLE = "STLIB_HOST"
USER_HEADER_VARIABLE = "STLIB_USER_HEADER"
SERVER_VARIABLE = "STLIB_SERVER"
SERVER_KEY_VARIABLE = "STLIB_SERVER_KEY"
SERVER_KEY_FILE_VARIABLE = "STLIB_SERVER_KEY_FILE"
ADMIN_FOR_ALL_VARIABLE = "STLIB_ADMIN_FOR_ALL"
FOLDERS_VARIABLE = "STLIB_FOLDERS"
LOG_VARIABLE = "STLIB_LOG"
LOG_DAYS_VARIABLE = "STLIB_LOG_DAYS"

LOOPBACK = "127.0.0.1"

# They stand for no folder, whatever lies in the working folder.
_OWN_NAMES = (BUNDLED_MODEL, BUNDLED_RERANKER)

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

    def absolute(self) -> Location:
        """The same place from any working folder."""
        home = home_folder(self.home).absolute()
        if self.db is None:
            return Location(home)
        is_server = isinstance(database_address(self.db), ServerDatabase)
        return Location(home if is_server else None, _absolute_url(self.db))

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for `Collection.open` and its kin."""
        return {"home": self.home, "db": self.db}


def reranker_from_environment(
    environment: Mapping[str, str] | None = None, usual: str = BUNDLED_RERANKER
) -> str | None:
    """Folder or name of the reranker that the page offers: `usual` where nothing is said; None for none."""
    environment = os.environ if environment is None else environment
    return environment.get(RERANK_VARIABLE, usual) or None


def absolute_model(name: str) -> str:
    """A model that a person gave, for a process in another working folder: a path is made absolute, a name
    that is always the same stays, also where a folder is called so.
    """
    if not name or name in _OWN_NAMES or not Path(name).exists():
        return name
    return str(Path(name).absolute())


def absolute_reranker(name: str) -> str:
    """The same for a reranker, of which one more name stands for no folder."""
    return name if name == TOKENS_RERANKER else absolute_model(name)


def jobs_at_once(environment: Mapping[str, str] | None = None) -> int:
    """How many jobs of a home may run at a time, as far as this process starts any; 0: it starts none.

    Raises:
        BadInput: the variable holds no whole number.
    """
    return _whole_number(JOBS_VARIABLE, 1, 0, environment)


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


def host_from_environment(environment: Mapping[str, str] | None = None) -> str:
    """The address that the page listens on."""
    environment = os.environ if environment is None else environment
    return environment.get(HOST_VARIABLE) or LOOPBACK


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches what listens on `host`. A name counts as one that others reach,
    except `localhost`: what it means may change.
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def folder_roots(environment: Mapping[str, str] | None = None) -> list[Path]:
    """The folders below which the page may read others: real paths of those that exist. None where the page
    is one that others reach: what lies on this machine is no matter of theirs.
    """
    environment = os.environ if environment is None else environment
    if not is_loopback(host_from_environment(environment)):
        return []
    listed = environment.get(FOLDERS_VARIABLE, "").split(os.pathsep)
    roots = [Path(one).expanduser().resolve() for one in listed if one.strip()]
    return [root for root in dict.fromkeys(roots) if root.is_dir()]


@dataclass(frozen=True)
class UploadLimits:
    """What visitors of the page may leave in a home.

    Attributes:
        file_bytes: of one file. The server holds an upload in memory until it is stored, and the text of one
            document with it while that is read: 100 MiB are far more than a person's document has.
        total_bytes: of all files of a home. 4 GiB are some four million pages of plain text, and leave a
            laptop's disk alone.
        files: of a home. With 10,000 a folder is listed in milliseconds still.
    """

    file_bytes: int = 100 * 2**20
    total_bytes: int = 4096 * 2**20
    files: int = 10_000


def upload_limits(environment: Mapping[str, str] | None = None) -> UploadLimits:
    """
    Raises:
        BadInput: a variable holds no whole number above 0.
    """
    default = UploadLimits()
    return UploadLimits(
        _whole_number("STLIB_UPLOAD_MIB", default.file_bytes >> 20, 1, environment) << 20,
        _whole_number("STLIB_UPLOADS_MIB", default.total_bytes >> 20, 1, environment) << 20,
        _whole_number("STLIB_UPLOADED_FILES", default.files, 1, environment),
    )


def _whole_number(variable: str, default: int, least: int, environment: Mapping[str, str] | None) -> int:
    environment = os.environ if environment is None else environment
    configured = environment.get(variable) or str(default)
    if not (configured.isascii() and configured.isdecimal() and least <= int(configured) < 2**40):
        wanted = "a whole number above 0" if least else "a whole number, or 0 for none"
        raise BadInput(f"{variable} is {configured!r}: give {wanted}")
    return int(configured)


def _absolute_url(db: str) -> str:
    """`db` with the relative path of a SQLite URL (three slashes) made absolute; any other URL as it is."""
    scheme, separator, path = db.partition(":///")
    if not separator or not scheme.startswith("sqlite") or path.startswith("/"):
        return db
    return f"{scheme}:///{Path(path).expanduser().absolute()}"
