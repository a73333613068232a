"""The desk of whoever looks at the page, and what is kept of its answers for a while."""

from __future__ import annotations

from collections.abc import Hashable

import streamlit as st

from app.desk import improving, searching
from app.desk.visit import Desk
from app.facade.improvement import Improvement
from app.facade.labelling import ToJudge
from app.facade.search import Facet
from app.feedback.judged import JudgedSet
from indexing.listing import Listing

__all__ = ["collections", "facets", "judged", "to_judge", "tuning_seconds"]

# Counting facets takes about a tenth of a second for a million documents: too slow for every key press, and
# numbers that are half a minute old do no harm in a list of choices.
_FACET_SECONDS = 30

# Finding questions that are like each other takes a moment; documents that went meanwhile wait that long.
_JUDGED_SECONDS = 60


def collections(desk: Desk) -> Listing:
    """Those there are, and those that cannot be read."""
    return desk.ask(searching.collections)


def facets(desk: Desk, name: str, uuid: str) -> list[Facet]:
    """The fields of a collection that are worth choosing from."""
    return _count(desk.identity, uuid, name, desk)


def judged(desk: Desk, name: str, uuid: str, said: tuple[int, int]) -> JudgedSet:
    """What people said as graded questions, made anew where as much as that was `said` was not said before.

    Raises:
        NotAllowed: the caller may not search.
    """
    return _judge(desk.identity, uuid, said, name, desk)


def to_judge(desk: Desk, name: str, uuid: str, state: Improvement) -> list[ToJudge]:
    """What this person should judge next, made anew where more was searched or learned."""
    known = (state.status.impressions, state.status.events, len(state.runs))
    return _queue((desk.identity, desk.caller), uuid, known, name, desk)


def tuning_seconds(desk: Desk, name: str, uuid: str, said: tuple[int, int]) -> dict[str, float]:
    """About how long each lever takes with what was `said`."""
    return _estimate(desk.identity, uuid, said, name, desk)


# A collection is known by its uuid: another one may be made under its name. Nobody changes what is returned.


@st.cache_data(show_spinner=False, max_entries=20, ttl=_FACET_SECONDS)
def _count(place: Hashable, uuid: str, _name: str, _desk: Desk) -> list[Facet]:
    return _desk.ask(searching.facets, _name)


@st.cache_resource(show_spinner=False, max_entries=20, ttl=_JUDGED_SECONDS)
def _judge(place: Hashable, uuid: str, said: tuple[int, int], _name: str, _desk: Desk) -> JudgedSet:
    return _desk.ask(improving.judged, _name)


@st.cache_resource(show_spinner=False, max_entries=20, ttl=_JUDGED_SECONDS)
def _estimate(place: Hashable, uuid: str, said: tuple[int, int], _name: str, _desk: Desk) -> dict[str, float]:
    return _desk.ask(improving.seconds, _name)


@st.cache_resource(show_spinner=False, max_entries=20, ttl=_JUDGED_SECONDS)
def _queue(place: Hashable, uuid: str, known: tuple[int, int, int], _name: str, _desk: Desk) -> list[ToJudge]:
    return _desk.ask(improving.to_judge, _name)
