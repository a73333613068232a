"""Where things stand, for those who watch a home: numbers only, and nothing is started by looking."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from app.jobs.kinds import KINDS
from app.jobs.place import jobs_place
from app.jobs.table import open_jobs, read_jobs
from app.settings import Location
from indexing import Collection
from indexing.errors import IndexingError
from indexing.listing import list_collections
from indexing.milvus import client as milvus
from indexing.storage.paths import is_there

__all__ = ["MOST_WATCHED", "Lag", "count_jobs", "lags", "milvus_is_away"]

MOST_WATCHED = 50
"""Collections that are looked into, the first by name: each takes some milliseconds, and a series of its own
wherever the numbers go.
"""


@dataclass(frozen=True)
class Lag:
    """How many committed changes the keyword index of a collection has yet to follow, and the generation that
    answers.
    """

    collection: str
    documents: int
    keyword: int
    generation: int


def count_jobs(location: Location) -> Counter[tuple[str, str]]:
    """(kind, state) → how many jobs; a kind that is none of ours, as a copied home may have, is "other".

    Raises:
        StorageError: the table cannot be read.
    """
    place = jobs_place(location)
    if not is_there(place.database):
        return Counter()
    with open_jobs(place) as engine:
        jobs = read_jobs(engine, place)
    return Counter((job.kind if job.kind in KINDS else "other", job.state) for job in jobs)


def milvus_is_away() -> bool:
    """Whether this process does without Milvus at the moment, after it failed to answer; nobody is asked."""
    return bool(milvus.away())


def lags(location: Location, most: int = MOST_WATCHED) -> list[Lag]:
    """Of the first `most` collections; one that cannot be read is left out."""
    found = []
    for name in list_collections(**location.arguments()).names[:most]:
        try:
            with Collection.open(name, **location.arguments()) as collection:
                info = collection.info()
                live = next((one for one in collection.servings() if one.live), None)
        except IndexingError:  # deleted at this moment, or damaged: `stlib list` names those
            continue
        behind = 0 if live is None else max(0, live.behind)
        found.append(Lag(name, info.documents, info.keyword_lag, behind))
    return found
