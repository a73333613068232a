"""Collections: made, filled, looked at, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.desk.visit import Visit
from app.desk.working import tell_job
from app.facade import collections, sources
from app.facade.caller import require
from app.facade.collections import CollectionFacts, Folder, Incoming, Received
from app.facade.jobs import Job
from app.indexing_job import IndexChoices
from app.settings import UploadLimits, host_from_environment, is_loopback, upload_limits
from indexing.errors import BadInput
from indexing.names import BUNDLED_MODEL
from indexing.sources.report import Source

__all__ = [
    "ModelChoices",
    "add_files",
    "add_folder",
    "create",
    "delete",
    "facts",
    "folders",
    "folders_of",
    "forget_uploads",
    "limits",
    "models",
    "sync",
    "verify",
]


@dataclass(frozen=True)
class ModelChoices:
    """Models to choose from; `others` says whether one may name one that is not there."""

    models: list[str]
    others: bool


def facts(visit: Visit, name: str) -> CollectionFacts:
    """Elsewhere nobody is told where a collection lies."""
    found = collections.collection_facts(visit.caller, visit.location, visit.collection(name))
    if visit.here:
        return found
    return replace(
        found, info=replace(found.info, path=""), jobs=[tell_job(job, visit) for job in found.jobs]
    )


def models(visit: Visit) -> ModelChoices:
    """A page of this machine alone takes any folder or name; one that others reach what was used here; a
    service what whoever runs it lists.
    """
    require(visit.caller, "manage")
    if visit.models is not None:
        return ModelChoices([BUNDLED_MODEL, *visit.models], False)
    others = visit.caller.surface == "page" and is_loopback(host_from_environment())
    return ModelChoices(collections.models_to_choose(), others)


def create(visit: Visit, name: str, choices: IndexChoices) -> None:
    require(visit.caller, "manage", name)
    if visit.models is not None:
        _check_models(visit.models, choices)
    collections.create_collection(visit.caller, visit.location, name, choices)


def _check_models(allowed: tuple[str, ...], choices: IndexChoices) -> None:
    """
    Raises:
        BadInput: a model that whoever runs the service does not list.
    """
    for model in choices.models().values():
        if model not in (BUNDLED_MODEL, *allowed):
            raise BadInput(
                f"model {model!r} is not one that this service makes collections with; those are"
                f" {', '.join((BUNDLED_MODEL, *allowed))}: whoever runs it lists others in STLIB_MODELS"
            )


def limits(visit: Visit) -> UploadLimits:
    require(visit.caller, "search")
    return upload_limits()


def add_files(
    visit: Visit, name: str, files: Sequence[Incoming], replace: bool
) -> tuple[Received, Job | None]:
    """Keep uploaded files, and start the job that reads them."""
    require(visit.caller, "manage", name)
    received, job = collections.add_files(visit.caller, visit.location, name, files, replace=replace)
    return received, None if job is None else tell_job(job, visit)


def folders(visit: Visit) -> list[Folder]:
    """Folders of the machine that answers, which may be read into a collection; none where others ask it."""
    found = collections.folders_to_choose(visit.caller)
    return found if visit.alone else []


def add_folder(visit: Visit, name: str, folder: Path) -> Job:
    require(visit.caller, "manage", name)
    if not visit.alone:
        raise BadInput("folders of its machine are read by a service only where nobody else reaches it")
    return tell_job(collections.add_folder(visit.caller, visit.location, name, folder), visit)


def folders_of(visit: Visit, name: str) -> list[Source]:
    """The folders that a collection was read from."""
    require(visit.caller, "manage", name)
    return sources.folders_of(visit.caller, visit.location, name)


def sync(visit: Visit, name: str, prune: bool) -> Job:
    """Read what changed in them."""
    require(visit.caller, "manage", name)
    return tell_job(sources.start_sync(visit.caller, visit.location, name, prune=prune), visit)


def verify(visit: Visit, name: str) -> Job:
    require(visit.caller, "manage", name)
    return tell_job(collections.start_verifying(visit.caller, visit.location, name), visit)


def forget_uploads(visit: Visit, name: str) -> tuple[int, int]:
    """Remove the uploaded files of a collection; returns how many, and their bytes."""
    require(visit.caller, "manage", name)
    return collections.forget_uploads(visit.caller, visit.location, name)


def delete(visit: Visit, name: str, typed: str, feedback: bool) -> str:
    """Delete a collection, whose name was `typed`; what is gone, in sentences."""
    require(visit.caller, "manage", name)
    visit.forget_collection(name)  # open files would keep its room on the disk
    return collections.delete_collection(visit.caller, visit.location, name, typed, feedback=feedback)
