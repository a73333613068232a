"""The folders of a collection, as faces show them: what they are, and reading what changed in them."""

from __future__ import annotations

from pathlib import Path

from app.facade.caller import Caller, require
from app.facade.jobs import start_job
from app.indexing_job import SyncChoices
from app.jobs.kinds import sync
from app.jobs.model import Job
from app.settings import Location
from app.uploads.store import Uploads
from indexing import Collection
from indexing.documents.walk import real_name
from indexing.errors import BadInput
from indexing.sources.report import Source

__all__ = ["folders_of", "start_sync"]


def folders_of(caller: Caller, location: Location, name: str) -> list[Source]:
    """The folders that a collection was read from, without the one of what was uploaded.

    Raises:
        NotAllowed: the caller may not manage: names of folders are nobody else's business.
        UnknownCollection: there is none of this name.
    """
    require(caller, "manage", name)
    uploads = Uploads(location).of(name).resolve()
    with Collection.open(name, **location.arguments()) as collection:
        return [
            source
            for source in collection.sources()
            if not Path(real_name(source.root)).is_relative_to(uploads)
        ]


def start_sync(caller: Caller, location: Location, name: str, *, prune: bool = False) -> Job:
    """Start the job that reads what changed in a collection's folders; links that lead out of them are not
    followed.

    Raises:
        NotAllowed: the caller may not manage.
        BadInput: it was read from no folder, or from one that nobody named on this machine.
    """
    require(caller, "manage", name)
    with Collection.open(name, **location.arguments()) as collection:
        sources = collection.sources()
    if not sources:
        raise BadInput(f"collection {name!r} was read from no folder: there is nothing to come back to")
    strange = [source.root for source in sources if not source.confirmed]
    if strange:
        raise BadInput(
            f"nobody named {', '.join(strange)} on this machine: the collection was copied here. Whoever runs"
            f" the page confirms it once, with `stlib sync {name}`"
        )
    within = [Path(real_name(source.root)) for source in sources]
    return start_job(location, "sync", sync.describe(name, SyncChoices(prune=prune), within), caller=caller)
