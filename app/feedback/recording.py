"""From an answer, a click or a word of a person to what is kept of it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING

from app.facade.caller import Caller
from app.feedback.hashes import keyed_hash
from app.feedback.log import feedback_log
from app.feedback.model import EVENTS, IMPORTED, Event, Impression, Saying, Shown, grade_of
from app.feedback.place import FeedbackPlace
from app.feedback.questions import question_hash
from app.feedback.table import add_saying, find_impressions, read_sayings, write_feedback
from app.settings import log_settings
from indexing.documents.model import storable_text
from indexing.errors import BadInput
from indexing.search.request import MAX_QUERY_CHARACTERS

if TYPE_CHECKING:
    from indexing import Collection, SearchResults

__all__ = [
    "MOST_SHOWN",
    "draw_seed",
    "find_pasted",
    "make_event",
    "make_impression",
    "names_of",
    "record_saying",
]

MOST_SHOWN = 100
"""Of a longer answer only so many documents are kept: nobody looks at more, and the log stays small."""

_FLUSH_SECONDS = 2.0
_PASTED_LOOKED_AT = 20
_PASTED_WORDS = 40


def draw_seed(caller: Caller) -> str:
    """What stands for a person in the draw of a trial: who asks again sees the same."""
    return caller.name or caller.session


def make_impression(
    caller: Caller,
    collection: Collection,
    results: SearchResults,
    *,
    k: int,
    filter: str | None = None,
    reranker: str | None = None,
    folded: Set[str] = frozenset(),
) -> Impression:
    """What is kept of an answer; `reranker` as in `Impression`, `folded` documents as in `Shown`."""
    teams: Sequence[int | None] = results.teams or [None] * len(results.results)
    shown = tuple(
        Shown(result.id, rank, _finite(result.score), team, result.id in folded)
        for rank, (result, team) in enumerate(
            zip(results.results[:MOST_SHOWN], teams[:MOST_SHOWN], strict=True), start=results.offset + 1
        )
    )
    return Impression(
        id=results.id,
        collection=collection.uuid,
        at=time.time(),
        who=storable_text(caller.name),
        session=storable_text(caller.session),
        surface=caller.surface,
        query=results.query,
        query_hash=question_hash(results.query),
        filter=None if filter is None else storable_text(filter),
        mode=results.mode,
        serving=results.serving,
        trial=results.trial,
        seq=results.seq,
        k=k,
        offset=results.offset,
        reranker=None if reranker is None else storable_text(reranker),
        reranked=results.reranked,
        seed=storable_text(draw_seed(caller)),
        took_ms=float(results.took_ms),
        hashed=False,
        shown=shown,
    )


def _finite(score: float) -> float:
    return float(score) if math.isfinite(score) else 0.0


def make_event(caller: Caller, collection: str, impression: str, document: str, kind: str) -> Event:
    """
    Raises:
        BadInput: there is no such kind.
    """
    if kind not in EVENTS:
        raise BadInput(f"kind of event {kind!r}: use one of {', '.join(EVENTS)}")
    texts = (collection, storable_text(impression), storable_text(document), kind)
    return Event(0, *texts, time.time(), storable_text(caller.name), storable_text(caller.session))


def record_saying(
    caller: Caller,
    place: FeedbackPlace,
    collection: Collection,
    query: str,
    document: str,
    kind: str,
    grade: int | None,
    impression: str,
    shown: Sequence[str],
) -> Saying:
    """Commits what a person says; it is on the disk when this returns.

    Raises:
        BadInput: an unknown kind, grade or document, an empty question, or nothing that it is said of.
        StorageError, LockedError: it could not be written.
    """
    grade = grade_of(kind, grade)
    if draw_seed(caller) == IMPORTED:
        raise BadInput(f"the name {IMPORTED!r} stands for files of judgments: choose another one")
    query = storable_text(query)[:MAX_QUERY_CHARACTERS]
    if not query.strip():
        raise BadInput("the question is empty: say which question the document answers")
    if kind == "none" or (kind == "undo" and not document):
        document, shown = "", tuple(shown) or _shown_by(caller, place, collection, query, impression)
    else:
        document, shown = _known(collection, document, kind), ()
    hidden = log_settings().mode == "hashes"
    who, session = (
        keyed_hash(text) if hidden else storable_text(text) for text in (caller.name, caller.session)
    )
    saying = Saying(
        id=0,
        collection=collection.uuid,
        at=time.time(),
        who=who,
        session=session,
        query=query,
        query_hash=question_hash(query),
        document=document,
        kind=kind,
        grade=grade,
        impression=storable_text(impression),
        source=caller.surface,
        shown=tuple(map(storable_text, shown)),
    )
    with write_feedback(place) as connection:
        return replace(saying, id=add_saying(connection, saying))


def _known(collection: Collection, document: str, kind: str) -> str:
    """The id of a document that there is; what was said of one that was deleted can be taken back."""
    if not isinstance(document, str) or not document:
        raise BadInput(f"{kind!r} is said of a document: give its id")
    if kind == "undo" or document in collection:
        return storable_text(document)
    if kind == "pasted" and (found := find_pasted(collection, document)):
        return found
    hint = ", and none has this text" if kind == "pasted" else ""
    raise BadInput(f"no document {document[:80]!r} in {collection.name!r}{hint}: `stlib search` shows ids")


def _shown_by(
    caller: Caller, place: FeedbackPlace, collection: Collection, query: str, impression: str
) -> tuple[str, ...]:
    """The documents of an answer, or of the last "none of these" of this person."""
    if impression:
        feedback_log(place).flush(_FLUSH_SECONDS)
        for found in find_impressions(place, storable_text(impression)):
            if found.id == impression:
                return tuple(one.document for one in found.shown)
    hashed = question_hash(query)
    said = [
        one
        for one in read_sayings(place, collection.uuid, question=hashed)
        if one.kind == "none" and (one.who or one.session) in names_of(caller)
    ]
    if said:
        return said[-1].shown
    raise BadInput(
        "'none of these' is said of an answer: give its impression, or the documents that were shown"
    )


def names_of(caller: Caller) -> tuple[str, str]:
    """Under which a person's sayings are kept: as the name is, or as its keyed hash."""
    name = storable_text(caller.name or caller.session)
    return name, keyed_hash(name)


def find_pasted(collection: Collection, text: str) -> str | None:
    """The document that has `text` in it, but for case and white space; None if none is found that has."""
    wanted = _flat(text)
    words = " ".join(text.split()[:_PASTED_WORDS])
    if len(wanted.split()) < 2:  # one word stands in many documents
        return None
    for result in collection.search(words, _PASTED_LOOKED_AT, mode="keyword", rerank=None):
        if wanted in _flat(result.text) or wanted == _flat(result.title):
            return result.id
    return None


def _flat(text: str) -> str:
    return " ".join(text.casefold().split())
