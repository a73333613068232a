"""Judged questions that visitors bring, kept as BEIR folders: HOME/judged/UUID/NAME, beside a `--db` file
FILE.judged/…

What comes is foreign: only files of known names are taken out of a zip, sizes are counted while they are read
(what a zip says of itself is not believed), and every line is read before anything is kept.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from app.errors import NotFound
from app.settings import Location
from app.text import plain
from indexing.errors import BadInput, BadLine
from indexing.evaluation import read_beir
from indexing.storage.files import make_own_folder, remove, write_atomic
from indexing.storage.paths import check_name, side_folder

__all__ = [
    "MOST_BYTES",
    "JudgedFolder",
    "forget_judged_documents",
    "forget_judged_sets",
    "keep_judged_set",
    "list_judged_sets",
    "remove_judged_set",
    "unpack",
]

MOST_BYTES = 50 * 2**20
"""Of all files together as they are kept. The largest BEIR sets without their corpus take some 20 MiB."""

_MOST_SETS = 20
_MOST_ENTRIES = 10_000
_MOST_SPLITS = 20
_LONGEST_LINE = 1 << 20
_HIGHEST_GRADE = 1000
_BLOCK = 1 << 16


@dataclass(frozen=True)
class JudgedFolder:
    """A set that is kept."""

    name: str
    path: Path
    splits: tuple[str, ...]


def sets_folder(location: Location, uuid: str) -> Path:
    """Of the collection `uuid`; it need not exist."""
    return side_folder(location.home, location.db, "judged") / uuid


def list_judged_sets(location: Location, uuid: str) -> list[JudgedFolder]:
    """In the order of their names."""
    folder = sets_folder(location, uuid)
    if folder.is_symlink() or not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.iterdir()):
        if path.name[0] != "." and path.is_dir() and not path.is_symlink():
            splits = tuple(sorted(one.stem for one in (path / "qrels").glob("*.tsv") if one.is_file()))
            if splits and (path / "queries.jsonl").is_file():
                found.append(JudgedFolder(path.name, path, splits))
    return found


def keep_judged_set(
    location: Location, uuid: str, name: str, files: Iterable[tuple[str, BinaryIO]]
) -> JudgedFolder:
    """Keep `files` (name, content): one zip, or queries.jsonl and one or more .tsv.

    Raises:
        BadInput, BadLine: they are not what is wanted, or too large; nothing was kept.
    """
    check_name(name)
    folder = sets_folder(location, uuid)
    there = [one.name.casefold() for one in list_judged_sets(location, uuid)]
    if name.casefold() in there:
        raise BadInput(f"there are judgments of the name {name!r} already: give another name, or remove them")
    if len(there) >= _MOST_SETS:
        raise BadInput(
            f"{_MOST_SETS} sets of judgments are kept, which is all there may be: remove one first"
        )
    make_own_folder(folder.parent)
    make_own_folder(folder)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as made:
        new = Path(made) / "set"
        new.mkdir()
        splits = unpack(new, files)
        new.replace(folder / name)
    return JudgedFolder(name, folder / name, splits)


def unpack(folder: Path, files: Iterable[tuple[str, BinaryIO]]) -> tuple[str, ...]:
    """Writes `files` as for `keep_judged_set` into an empty folder, checked; returns the splits.

    Raises:
        BadInput, BadLine: they are not what is wanted, or too large.
    """
    (folder / "qrels").mkdir()
    room = _Room()
    splits = 0
    for target, content in _wanted(list(files)):
        splits += target.startswith("qrels/")
        if splits > _MOST_SPLITS:
            raise BadInput(f"there are more than {_MOST_SPLITS} splits: give those that you measure with")
        _copy(content, folder / target, room)
    return _check(folder)


def remove_judged_set(location: Location, uuid: str, name: str) -> None:
    """
    Raises:
        NotFound: there is none of this name.
    """
    found = [one for one in list_judged_sets(location, uuid) if one.name == name]
    if not found:
        raise NotFound(f"there are no judgments of the name {name!r}")
    remove(found[0].path)


def forget_judged_sets(location: Location, uuid: str) -> None:
    """Removes all of them, for a collection that was deleted."""
    remove(sets_folder(location, uuid))


def forget_judged_documents(location: Location, uuid: str, documents: Collection[str]) -> int:
    """Takes the judgments of these documents (ids) out of all sets; returns how many there were."""
    gone = 0
    for one in list_judged_sets(location, uuid):
        for path in sorted((one.path / "qrels").glob("*.tsv")):
            with path.open("rb") as file:
                lines = file.readlines()
            left = [line for line in lines if not _judges(line, documents)]
            if len(left) < len(lines):
                write_atomic(path, b"".join(left), mode=0o600)
                gone += len(lines) - len(left)
    return gone


def _judges(line: bytes, documents: Collection[str]) -> bool:
    """Whether a line of question, document and grade is about one of `documents`."""
    parts = line.decode("utf-8", "replace").rstrip("\r\n").split("\t")
    return len(parts) > 1 and parts[-2] in documents


class _Room:
    """How much may still come."""

    def __init__(self) -> None:
        self.left = MOST_BYTES

    def take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise BadInput(
                f"the judgments take more than {MOST_BYTES >> 20} MiB unpacked: leave out corpus.jsonl, or"
                " give one split alone"
            )


def _wanted(files: list[tuple[str, BinaryIO]]) -> Iterator[tuple[str, BinaryIO]]:
    """Where each file goes, and its content."""
    zips = [one for one in files if one[0].lower().endswith(".zip")]
    if zips and len(files) > 1:
        raise BadInput("several files and a zip among them: give the zip alone, or the files alone")
    if zips:
        yield from _unzip(zips[0][1])
        return
    for name, content in files:
        yield _target(PurePosixPath(name.replace("\\", "/")).name), content


def _target(name: str) -> str:
    if name.lower().endswith(".jsonl"):
        return "queries.jsonl"
    stem, dot, ending = name.rpartition(".")
    if dot and ending.lower() == "tsv":
        return f"qrels/{_split(stem)}.tsv"
    raise BadInput(f"{plain(name)} is neither queries.jsonl, a .tsv of judgments nor a .zip of a BEIR folder")


def _split(stem: str) -> str:
    if not stem.isascii() or not stem.replace("-", "").replace("_", "").isalnum() or len(stem) > 60:
        raise BadInput(f"{plain(stem)}.tsv: name a split by letters, digits, - and _, such as test.tsv")
    return stem


def _unzip(file: BinaryIO) -> Iterator[tuple[str, BinaryIO]]:
    """queries.jsonl and qrels/*.tsv, wherever in the zip they lie."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if len(entries) > _MOST_ENTRIES:
                raise BadInput(f"the zip has {len(entries):,} files: give one of a BEIR folder")
            for entry in entries:
                path = PurePosixPath(entry.filename)
                if path.name == "queries.jsonl":
                    target = "queries.jsonl"
                elif path.suffix == ".tsv" and path.parent.name == "qrels" and not path.name.startswith("."):
                    target = f"qrels/{_split(path.stem)}.tsv"
                else:
                    continue
                with archive.open(entry) as content:
                    yield target, content  # type: ignore[misc]
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise BadInput(
            f"the zip cannot be read ({type(error).__name__}): make it anew, without a password"
        ) from error


def _copy(content: BinaryIO, target: Path, room: _Room) -> None:
    if target.exists():
        raise BadInput(f"two files are {target.name}: give one of each")
    with target.open("xb") as file:
        while block := content.read(_BLOCK):
            room.take(len(block))
            file.write(block)


def _check(folder: Path) -> tuple[str, ...]:
    """The splits of a folder that can be measured with.

    Raises:
        BadInput, BadLine: it cannot.
    """
    if not (folder / "queries.jsonl").is_file():
        raise BadInput(
            "there is no queries.jsonl: give it with lines such as "
            + json.dumps({"_id": "1", "text": "…"}, ensure_ascii=False)
        )
    splits = tuple(sorted(path.stem for path in (folder / "qrels").glob("*.tsv")))
    if not splits:
        raise BadInput("there are no judgments: give a .tsv with lines of question id, document id and grade")
    for path in (folder / "queries.jsonl", *sorted((folder / "qrels").glob("*.tsv"))):
        _check_lines(path)
    queries = None
    for split in splits:
        try:
            beir = read_beir(folder, split, queries=queries)
            queries = beir.queries
        except RecursionError:
            raise BadInput(
                "a line of queries.jsonl is nested too deep: an object with _id and text will do"
            ) from None
        except BadLine as error:
            raise BadInput(f"{Path(error.source).name}, line {error.line}: {error.reason}") from error
        highest = max((abs(grade) for grades in beir.qrels.values() for grade in grades.values()), default=0)
        if highest > _HIGHEST_GRADE:
            raise BadInput(
                f"{split}.tsv has a grade of {highest:.0e}: use whole numbers up to {_HIGHEST_GRADE}"
            )
        if not any(id_ in beir.queries and max(grades.values()) > 0 for id_, grades in beir.qrels.items()):
            raise BadInput(f"{split}.tsv judges no document relevant for a question of queries.jsonl")
    return splits


def _check_lines(path: Path) -> None:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_LONGEST_LINE + 1):
            number += 1
            if len(line) > _LONGEST_LINE:
                raise BadInput(
                    f"{path.name}, line {number}: longer than {_LONGEST_LINE:,} bytes, which is no question"
                )
