"""Judgments as they go over a line: in as rows, CSV or a zip of a BEIR folder, out as rows, CSV or a zip."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from app.facade.caller import Caller, require
from app.facade.feedback import select_sayings
from app.feedback.exchange import Imported, export_judgments, find_unknown, import_judgments, settle
from app.feedback.formats import FORMATS, Judged, JudgmentFile, read_judgments
from app.feedback.place import feedback_place
from app.report.judged_sets import unpack
from app.settings import Location
from indexing import Collection
from indexing.errors import BadInput

__all__ = ["MOST_ROWS", "add_judgments", "export_file", "import_file", "list_judgments"]

MOST_ROWS = 100_000
"""Of one request that brings judgments as rows; more come as a file."""

_BLOCK = 1 << 20


def list_judgments(caller: Caller, location: Location, collection: Collection) -> list[Judged]:
    """What was said of a collection, settled: of the last words of all people on a document the middle one.

    Raises:
        NotAllowed: the caller may not manage.
    """
    sayings = select_sayings(caller, location, collection)
    return [
        Judged(text, document, grade)
        for text, grades in settle(sayings).values()
        for document, grade in grades.items()
    ]


def add_judgments(
    caller: Caller, location: Location, collection: Collection, rows: Sequence[Judged], source: str = "api"
) -> Imported:
    """Keeps judgments that somebody else made, said by "import". A second time adds nothing.

    Raises:
        NotAllowed: the caller may not manage.
        BadInput: too many at once, or none.
    """
    require(caller, "manage", collection.name)
    if not 1 <= len(rows) <= MOST_ROWS:
        raise BadInput(
            f"{len(rows):,} judgments: give 1 to {MOST_ROWS:,}, more as a file or in several parts"
        )
    file = JudgmentFile(source)
    for number, one in enumerate(rows, start=1):
        file.add(Path(source), number, one.question, one.document, one.grade)
    return _keep(location, collection, file)


def import_file(
    caller: Caller,
    location: Location,
    collection: Collection,
    content: BinaryIO,
    format: str,
    *,
    split: str = "train",
) -> Imported:
    """The same from a file: `format` is "csv" (question, document, grade), or "beir" for a zip of a folder.

    Raises:
        NotAllowed: the caller may not manage.
        BadInput: it is of another kind, or too large.
    """
    require(caller, "manage", collection.name)
    if format not in ("csv", "beir"):
        raise BadInput(f"format {format!r}: bring csv, or beir as a zip")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "brought"
        folder.mkdir()
        if format == "beir":
            unpack(folder, [("brought.zip", content)])
            return _keep(location, collection, read_judgments(folder, "beir", split=split))
        path = folder / "judgments.csv"
        with path.open("wb") as file:
            while block := content.read(_BLOCK):
                file.write(block)
        return _keep(location, collection, read_judgments(path, "csv"))


def _keep(location: Location, collection: Collection, file: JudgmentFile) -> Imported:
    unknown = find_unknown(collection, (judged.document for judged in file.judged))
    return import_judgments(feedback_place(location), collection.uuid, file, unknown)


def export_file(
    caller: Caller, location: Location, collection: Collection, format: str, *, split: str = "train"
) -> bytes:
    """What was said of a collection as a file: "csv", or a zip of a "beir" folder or of "trec" files.

    Raises:
        NotAllowed: the caller may not manage.
        BadInput: there is no such format.
    """
    if format not in FORMATS:
        raise BadInput(f"format {format!r}: use one of {', '.join(FORMATS)}")
    sayings = select_sayings(caller, location, collection)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        export_judgments(sayings, folder, format, split=split)
        if format == "csv":
            return (folder / "feedback.csv").read_bytes()
        return _zip(folder)


def _zip(folder: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    return packed.getvalue()
