"""Collections as the page holds them: opened once per process, their facets counted now and then."""

from __future__ import annotations

import streamlit as st

from app.facade.caller import Caller
from app.facade.improvement import Improvement, judged_questions
from app.facade.labelling import labelling_queue
from app.facade.search import MOST_VALUES, Facet, facet_choices
from app.facade.tuning import estimate_seconds
from app.feedback.judged import JudgedSet
from app.feedback.judged.queue import ToJudge
from app.settings import Location
from indexing import Collection
from indexing.listing import Listing, collection_identity, list_collections

__all__ = [
    "collections",
    "facets",
    "forget_collection",
    "judged",
    "open_collection",
    "size",
]

# Counting facets takes about a tenth of a second for a million documents: too slow for every key press, and
# numbers that are half a minute old do no harm in a list of choices.
_FACET_SECONDS = 30

# Finding questions that are like each other takes a moment; documents that went meanwhile wait that long.
_JUDGED_SECONDS = 60


def collections(location: Location) -> Listing:
    """Those there are, and those that cannot be read."""
    return list_collections(**location.arguments())


def open_collection(location: Location, name: str) -> Collection:
    """The collection, shared by every visitor of this process."""
    return _open(location, name, _catalog_identity(location, name))


def forget_collection(location: Location, name: str) -> None:
    """Let go of a collection that is about to be deleted: open files would keep its room on the disk."""
    identity = _catalog_identity(location, name)
    if identity is not None:
        _open.clear(location, name, identity)


def facets(location: Location, name: str) -> list[Facet]:
    return _count(location, name, _catalog_identity(location, name))


def judged(caller: Caller, location: Location, collection: Collection, said: tuple[int, int]) -> JudgedSet:
    """What people said as graded questions, made anew where as much as that was `said` was not said before.

    Raises:
        NotAllowed: the caller may not search.
    """
    return _judge(caller, location, collection, collection.uuid, said)


def to_judge(caller: Caller, location: Location, collection: Collection, state: Improvement) -> list[ToJudge]:
    """What this person should judge next, made anew where more was searched or learned."""
    known = (state.status.impressions, state.status.events, len(state.runs))
    return _queue(caller, location, collection, collection.uuid, known)


def tuning_seconds(
    caller: Caller, location: Location, collection: Collection, said: tuple[int, int]
) -> dict[str, float]:
    """About how long each lever takes with what was `said`."""
    return _estimate(caller, location, collection, collection.uuid, said)


def size(collection: Collection) -> int:
    """Documents in `collection` now."""
    return int(collection.info().documents)


def _catalog_identity(location: Location, name: str) -> tuple[int, int] | None:
    """Changes when a collection was deleted and another one was made under its name."""
    return collection_identity(name, **location.arguments())


@st.cache_resource(show_spinner=False, max_entries=20)
def _open(location: Location, name: str, identity: tuple[int, int] | None) -> Collection:
    return Collection.open(name, **location.arguments())


@st.cache_data(show_spinner=False, max_entries=20, ttl=_FACET_SECONDS)
def _count(location: Location, name: str, identity: tuple[int, int] | None) -> list[Facet]:
    return facet_choices(_open(location, name, identity).facets(max_values=MOST_VALUES))


@st.cache_resource(show_spinner=False, max_entries=20, ttl=_JUDGED_SECONDS)
def _judge(
    caller: Caller, location: Location, _collection: Collection, uuid: str, said: tuple[int, int]
) -> JudgedSet:
    """Nobody changes what it returns. The caller is part of the key: rights differ."""
    return judged_questions(caller, location, _collection)


@st.cache_resource(show_spinner=False, max_entries=20, ttl=_JUDGED_SECONDS)
def _estimate(
    caller: Caller, location: Location, _collection: Collection, uuid: str, said: tuple[int, int]
) -> dict[str, float]:
    return estimate_seconds(caller, location, _collection)


@st.cache_resource(show_spinner=False, max_entries=20, ttl=_JUDGED_SECONDS)
def _queue(
    caller: Caller,
    location: Location,
    _collection: Collection,
    uuid: str,
    known: tuple[int, int, int],
) -> list[ToJudge]:
    return labelling_queue(caller, location, _collection)
