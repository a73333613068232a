"""Past reports: HOME/reports/UUID/NUMBER.json of a collection, beside a `--db` file FILE.reports/…"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import NotFound
from app.report.model import TESTED, Report
from app.settings import Location
from indexing.errors import StorageError
from indexing.storage.files import FolderLock, make_own_folder, open_plain, remove, write_atomic
from indexing.storage.paths import side_folder

__all__ = [
    "KEPT",
    "Past",
    "forget_reports",
    "forget_reports_with",
    "keep_report",
    "list_reports",
    "load_report",
]

KEPT = 100
"""Reports of a collection that are kept, the newest: as many make a curve, and some 100 MB at most."""

_LARGEST = 64 * 2**20
_NAME = re.compile(r"(\d{6})\.json")


@dataclass(frozen=True)
class Past:
    """A report that is kept, in short. `metrics` are the means of the baseline, `best` those of the best."""

    id: int
    at: str
    who: str
    source: str
    split: str
    judgments: str
    questions: int
    systems: int
    serving: int
    metrics: dict[str, float]
    best: dict[str, float]
    best_name: str


def reports_folder(location: Location, uuid: str) -> Path:
    """Of the collection `uuid`; it need not exist."""
    return side_folder(location.home, location.db, "reports") / uuid


def keep_report(location: Location, report: Report) -> int:
    """Its number, from 1. The oldest beyond `KEPT` are removed.

    Raises:
        LockedError: another process keeps one at this moment.
    """
    folder = reports_folder(location, report.uuid)
    make_own_folder(folder.parent)
    make_own_folder(folder)
    with FolderLock(folder, ".lock", "the folder of reports").acquire():
        there = sorted(_numbers(folder))
        number = (there[-1] if there else 0) + 1
        if number > 999_999:
            raise StorageError(f"{folder} has no number left: move it away to begin anew")
        # The summary stands first, on a line of its own: a list of many reports reads no more.
        lines = [
            json.dumps(one, ensure_ascii=True, allow_nan=False)
            for one in (_shorten(report), report.to_dict())
        ]
        write_atomic(folder / f"{number:06}.json", "\n".join(lines).encode("ascii"), mode=0o600)
        for old in there[: max(0, len(there) + 1 - KEPT)]:
            with suppress(FileNotFoundError):
                (folder / f"{old:06}.json").unlink()
    return number


def list_reports(location: Location, uuid: str) -> list[Past]:
    """Those that are kept, the oldest first; files that cannot be read are left out."""
    folder = reports_folder(location, uuid)
    found = []
    for number in sorted(_numbers(folder)):
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, StorageError):
            with open_plain(folder / f"{number:06}.json") as file:
                kept = json.loads(file.readline(1 << 20))
            found.append(_past(number, kept))
    return found


def load_report(location: Location, uuid: str, number: int) -> Report:
    """
    Raises:
        NotFound: there is none of this number.
        StorageError: it cannot be read.
    """
    path = reports_folder(location, uuid) / f"{number:06}.json"
    if not path.is_file():
        raise NotFound(f"no report {number} of this collection is kept")
    try:
        with open_plain(path) as file:
            file.readline(1 << 20)
            return Report.from_dict(json.loads(file.read(_LARGEST)))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StorageError(f"{path} is damaged ({type(error).__name__}): delete it") from error


def forget_reports(location: Location, uuid: str) -> None:
    """Removes all of them, for a collection that was deleted."""
    remove(reports_folder(location, uuid))


def forget_reports_with(location: Location, uuid: str, texts: Iterable[str], *, whole: bool = False) -> int:
    """Removes those that measured what people said, as any of it may be gone, and those in which one of
    `texts` stands, by itself if `whole`, else anywhere; returns how many. They can be made again.
    """
    folder = reports_folder(location, uuid)
    quoted = [json.dumps(text, ensure_ascii=True).encode("ascii") for text in texts if text]
    needles = quoted if whole else [one[1:-1] for one in quoted]
    gone = 0
    for number in list(_numbers(folder)):
        path = folder / f"{number:06}.json"
        with suppress(FileNotFoundError):
            kept = path.read_bytes()
            if b'"source": "feedback"' in kept or any(one in kept for one in needles):
                path.unlink()
                gone += 1
    return gone


def _numbers(folder: Path) -> Iterator[int]:
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in folder.iterdir():
        if match := _NAME.fullmatch(path.name):
            yield int(match[1])


def _shorten(report: Report) -> dict[str, Any]:
    def means(one: Any) -> dict[str, float]:
        return {name: one.metrics[name].mean for name in TESTED}

    return {
        "at": report.at,
        "who": report.who,
        "source": report.source,
        "split": report.split,
        "judgments": report.judgments,
        "questions": len(report.questions),
        "systems": len(report.systems),
        "serving": report.baseline.system.serving,
        "metrics": means(report.baseline),
        "best": means(report.best),
        "best_name": report.best.name,
    }


def _past(number: int, kept: dict[str, Any]) -> Past:
    texts = {name: str(kept[name]) for name in ("at", "who", "source", "split", "judgments", "best_name")}
    counts = {name: int(kept[name]) for name in ("questions", "systems", "serving")}
    means = {name: {key: float(kept[name][key]) for key in TESTED} for name in ("metrics", "best")}
    return Past(id=number, **texts, **counts, **means)  # type: ignore[arg-type]
