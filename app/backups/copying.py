"""Copying a collection with all that belongs to it from one home or database to another."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app.backups.files import MODELS, UPLOADS, Arriving, copy_files
from app.backups.said import copy_said
from app.settings import Location
from indexing.catalog.transfer import TransferProgress
from indexing.upkeep.copy import Copy, copy_collection

__all__ = ["CopyReport", "copy_all"]


@dataclass
class CopyReport:
    """What was copied: `rows` of the catalog by table, which were compared with what was read, and `said`:
    searches, clicks and judgments that were not there yet.
    """

    name: str
    documents: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    said: int = 0
    files: int = 0
    replaced: bool = False
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


def copy_all(
    source: Location,
    name: str,
    target: Location,
    *,
    as_name: str | None = None,
    replace: bool = False,
    uploads: bool = True,
    forget: Callable[[str], object] = lambda uuid: None,
    progress: TransferProgress | None = None,
) -> CopyReport:
    """Copies a collection with its generations, servings, artifacts, sources, history, feedback, records of
    tuning, models and uploaded files. The source is only read.

    Raises: see `indexing.upkeep.copy.copy_collection`.
    """
    started = time.monotonic()
    new_name = as_name or name
    report = CopyReport(new_name)

    kinds = (MODELS, UPLOADS) if uploads else (MODELS,)
    files = {kind: copy_files(kind, source, name) for kind in kinds}
    arriving = Arriving(files, target, new_name)

    def before(copy: Copy) -> None:
        report.said = copy_said(source, target, copy)
        arriving.put(copy.folder)

    try:
        copy = copy_collection(
            name,
            home=source.home,
            db=source.db,
            to_home=target.home,
            to_db=target.db,
            new_name=as_name,
            replace=replace,
            ahead=arriving.stage,
            before=before,
            progress=progress,
        )
        arriving.settle()
    finally:
        arriving.discard()
    if copy.replaced is not None and copy.replaced != copy.uuid:
        forget(copy.replaced)
    report.replaced = copy.replaced is not None
    report.documents, report.rows = copy.documents, dict(copy.rows)
    report.files = sum(map(len, files.values()))
    report.seconds = time.monotonic() - started
    return report
