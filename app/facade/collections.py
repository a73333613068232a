"""Making, filling, checking and deleting collections, for those who do it by a page or a program.

Long work starts as a job (`app.facade.jobs`), whose number stands in what is returned.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.facade.caller import Caller, require
from app.facade.feedback import forget_feedback
from app.facade.jobs import Job, list_jobs, start_job
from app.indexing_job import IndexChoices
from app.jobs.kinds import index, verify
from app.settings import (
    FOLDERS_VARIABLE,
    Location,
    folder_roots,
    host_from_environment,
    is_loopback,
    upload_limits,
)
from app.uploads.store import Incoming, Received, Uploads
from app.wording import format_bytes, format_count
from indexing import Collection
from indexing.describe import CollectionInfo
from indexing.documents.walk import real_name
from indexing.errors import BadInput, UnknownCollection
from indexing.listing import list_collections
from indexing.models.trust import used_models
from indexing.names import BUNDLED_MODEL
from indexing.serving.history import Serving
from indexing.storage.paths import check_name

__all__ = [
    "CollectionFacts",
    "Folder",
    "Incoming",
    "add_files",
    "add_folder",
    "collection_facts",
    "create_collection",
    "delete_collection",
    "describe_collection",
    "folders_to_choose",
    "forget_uploads",
    "models_to_choose",
    "names_of_collections",
    "start_verifying",
]

MOST_FOLDERS = 500  # a person looks for one of them by its name; more is read from disk in vain
_DEEPEST = 4


@dataclass(frozen=True)
class CollectionFacts:
    """What there is to know of a collection.

    Attributes:
        servings: the oldest first.
        uploads: how many files were uploaded and are kept, and how many bytes.
        jobs: that are about it and have not ended, the oldest first.
    """

    info: CollectionInfo
    servings: list[Serving]
    uploads: tuple[int, int]
    jobs: list[Job]

    @property
    def live(self) -> Serving:
        return next(one for one in self.servings if one.live)


@dataclass(frozen=True)
class Folder:
    """A folder that may be read: `name` starts with that of its root."""

    name: str
    path: Path


def collection_facts(caller: Caller, location: Location, collection: Collection) -> CollectionFacts:
    """
    Raises:
        NotAllowed: the caller may not search.
        UnknownCollection: it was deleted meanwhile.
    """
    require(caller, "search", collection)
    files = Uploads(location).files(collection.name)
    jobs = [
        job
        for job in list_jobs(location, caller=caller)
        if job.collection == collection.name and not job.finished
    ]
    return CollectionFacts(
        collection.info(), collection.servings(), (len(files), sum(size for _, size in files)), jobs
    )


def names_of_collections(caller: Caller, location: Location) -> tuple[list[str], list[str]]:
    """The collections that the caller may use, and those of them that cannot be read now.

    Raises:
        NotAllowed: the caller may not search.
    """
    require(caller, "search")
    listing = list_collections(**location.arguments())
    return [name for name in listing.names if caller.may_use(name)], [
        name for name in sorted(listing.damaged) if caller.may_use(name)
    ]


def describe_collection(caller: Caller, collection: Collection) -> dict[str, Any]:
    """What a collection is, for programs elsewhere: nothing of where it lies.

    Raises:
        NotAllowed: the caller may not search this collection.
    """
    require(caller, "search", collection)
    info = {name: value for name, value in collection.info().to_dict().items() if name != "path"}
    return {**info, "modes": list(collection.modes), "rerankers": list(collection.rerankers)}


def models_to_choose() -> list[str]:
    """The bundled model, and those that were used on this machine: folders, or names on the hub."""
    return list(dict.fromkeys([BUNDLED_MODEL, *used_models()]))


def create_collection(
    caller: Caller,
    location: Location,
    name: str,
    choices: IndexChoices | None = None,
    *,
    models: Sequence[str] | None = None,
) -> None:
    """A new, empty collection. `models` are those that may be chosen; None for any, and for callers from
    elsewhere those that were used on this machine.

    Raises:
        NotAllowed: the caller may not manage.
        BadInput: a name, model, precision or engine that cannot be, or a model that may not be chosen.
        CollectionExists: there is one of this name.
    """
    require(caller, "manage", name)
    choices = choices or IndexChoices()
    check_name(name)
    if choices.model is not None and models is not None and choices.model not in models:
        raise BadInput(
            f"model {choices.model!r} is not one that collections are made with here; those are"
            f" {', '.join(models)}: whoever runs the service lists others in STLIB_MODELS"
        )
    remote = caller.surface in ("api", "mcp") or (
        caller.surface == "page" and not is_loopback(host_from_environment())
    )
    if choices.model is not None and models is None and remote and choices.model not in models_to_choose():
        raise BadInput(
            f"model {choices.model!r} was never used on this machine: whoever runs the page gives it once,"
            " with `stlib index NAME PATH --model MODEL`"
        )
    Collection.create(name, **location.arguments(), **choices.given()).close()


def add_files(
    caller: Caller, location: Location, name: str, files: Iterable[Incoming], *, replace: bool = False
) -> tuple[Received, Job | None]:
    """Keep uploaded files, and start the job that reads them; None where none was new.

    Two files of one name are two documents, told apart by a number, unless `replace`. What cannot be kept is
    refused with the reason, and the rest is read.

    Raises:
        NotAllowed: the caller may not manage.
        UnknownCollection: there is none of this name.
        LockedError: somebody else is storing files for very long.
    """
    require(caller, "manage", name)
    limits, uploads = upload_limits(), Uploads(location)
    _require_collection(location, name)
    with uploads.locked():
        uploads.forget_others(_all_names(location))
        received = uploads.receive(name, files, limits, replace=replace)
        paths = [file.path for file in received.stored if file.fresh]
        if not paths:
            return received, None
        arguments = index.describe(name, paths, IndexChoices(), within=[uploads.of(name)])
        return received, start_job(location, "index", arguments, caller=caller)


def folders_to_choose(caller: Caller) -> list[Folder]:
    """Folders that may be read into a collection: those that STLIB_FOLDERS names and what lies below them, at
    most MOST_FOLDERS, the nearest first. None where the page is one that others reach.
    """
    require(caller, "manage")
    found = [Folder(root.name or str(root), root) for root in folder_roots()]
    for folder in found:
        if len(found) >= MOST_FOLDERS:
            break
        if folder.name.count("/") < _DEEPEST:
            found += _below(folder)
    return found[:MOST_FOLDERS]


def add_folder(caller: Caller, location: Location, name: str, folder: Path) -> Job:
    """Start the job that reads a folder of this machine into a collection; links that lead out of the
    folders that may be read are not followed.

    Raises:
        NotAllowed: the caller may not manage.
        BadInput: the folder lies elsewhere than the settings allow.
        UnknownCollection: there is no such collection.
    """
    require(caller, "manage", name)
    roots = folder_roots()
    real = Path(os.path.realpath(folder))
    if not any(real.is_relative_to(root) for root in roots):
        allowed = ", ".join(map(str, roots)) or "none"
        raise BadInput(
            f"folder {str(folder)!r} may not be read by the page; what lies below these may: {allowed}."
            f" {FOLDERS_VARIABLE} names them, for a page that this machine alone reaches"
        )
    _require_collection(location, name)
    arguments = index.describe(name, [real], IndexChoices(), within=roots)
    return start_job(location, "index", arguments, caller=caller)


def start_verifying(caller: Caller, location: Location, name: str) -> Job:
    """Start the job that checks a collection; damaged views are made anew by it.

    Raises:
        NotAllowed: the caller may not manage.
        UnknownCollection: there is no such collection.
    """
    require(caller, "manage", name)
    _require_collection(location, name)
    return start_job(location, "verify", verify.describe(name), caller=caller)


def forget_uploads(caller: Caller, location: Location, name: str) -> tuple[int, int]:
    """Remove the uploaded files of a collection, whose documents stay; returns how many, and their bytes.

    Raises:
        NotAllowed: the caller may not manage.
        BadInput: a job has yet to read them.
    """
    require(caller, "manage", name)
    uploads = Uploads(location)
    with uploads.locked():
        _refuse_while_working(location, name, kinds=("index", "sync"))
        forgotten = uploads.forget(name)
    # Nothing is there to be in step with, and nothing is to be taken for removed.
    folder = uploads.of(name).resolve()
    with Collection.open(name, **location.arguments()) as collection:
        for source in collection.sources():
            if Path(real_name(source.root)).is_relative_to(folder):
                collection.forget_source(source.id)
    return forgotten


def delete_collection(
    caller: Caller, location: Location, name: str, typed: str, *, feedback: bool = True
) -> str:
    """Delete a collection and the files that were uploaded to it; there is no way back. `typed` is its name,
    as a person wrote it who means it. What was asked and said of it is erased too, unless `feedback` is
    False. Returns what is gone and what is left, in sentences.

    Raises:
        NotAllowed: the caller may not manage.
        BadInput: another name was typed, or a job works on it.
        UnknownCollection: there is none.
        LockedError: another process is adding documents.
    """
    require(caller, "manage", name)
    if typed.strip() != name:
        raise BadInput(f"{typed.strip()!r} was typed and the collection is {name!r}: nothing was deleted")
    uploads = Uploads(location)
    with uploads.locked():
        _refuse_while_working(location, name)
        with Collection.open(name, **location.arguments()) as collection:
            documents = collection.count()
            collection.drop()
            left = forget_feedback(location, collection.uuid) if feedback else "what was said of it stays"
        files, size = uploads.forget(name)
    also = f" and {format_count(files, 'uploaded file')} ({format_bytes(size)})" if files else ""
    return f"Collection {name} is deleted, with {format_count(documents, 'document')}{also}." + (
        f" But {left}." if left else ""
    )


def _below(folder: Folder) -> list[Folder]:
    """The folders in a folder; hidden ones and links are left out."""
    try:
        with os.scandir(folder.path) as scan:
            names = sorted(
                one.name for one in scan if one.name[0] != "." and one.is_dir(follow_symlinks=False)
            )
    except OSError:  # not for us, or removed at this moment
        return []
    return [Folder(f"{folder.name}/{name}", folder.path / name) for name in names]


def _all_names(location: Location) -> list[str]:
    """Of damaged collections too: what was uploaded to them is still theirs."""
    listing = list_collections(**location.arguments())
    return [*listing.names, *listing.damaged]


def _require_collection(location: Location, name: str) -> None:
    check_name(name)
    names = list_collections(**location.arguments()).names
    if name not in names:
        there = ", ".join(names) or "none yet"
        raise UnknownCollection(f"there is no collection {name!r}; there are: {there}")


def _refuse_while_working(location: Location, name: str, kinds: tuple[str, ...] | None = None) -> None:
    for job in list_jobs(location):
        if job.collection == name and not job.finished and (kinds is None or job.kind in kinds):
            raise BadInput(
                f"job {job.id} ({job.kind}) of collection {name!r} is {job.state}: cancel it, or wait until"
                " it has ended; nothing was deleted"
            )
