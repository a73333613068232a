"""What people ask and say: recorded as they do, read, moved in and out, erased.

    found = search(collection, request, caller=caller, location=location)     # is logged: app.facade.search
    record(caller, location, collection, found.query, found[0].id, "up", impression=found.id)
    said_about(caller, location, collection, "Who audits us?")                # {document: Saying}

A search never fails because of its log. A saying is on the disk when `record` returns.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.facade.caller import Caller, require
from app.feedback.erasing import Erased, Wanted, erase_feedback, forget_collection, select_feedback
from app.feedback.exchange import Exported, Imported, export_judgments, find_unknown, import_judgments
from app.feedback.formats import read_judgments
from app.feedback.log import feedback_log
from app.feedback.model import Saying, latest_words
from app.feedback.place import feedback_place
from app.feedback.questions import question_hash
from app.feedback.recording import draw_seed, make_event, make_impression, names_of, record_saying
from app.feedback.replaying import Replay, replay_impression
from app.feedback.status import FeedbackStatus, read_status
from app.feedback.table import find_impressions, read_sayings
from app.report.history import forget_reports, forget_reports_with
from app.report.judged_sets import forget_judged_sets
from app.settings import Location
from app.tuning.forgetting import Records
from indexing import Collection, SearchResults
from indexing.documents.model import storable_text
from indexing.errors import BadInput, IndexingError
from indexing.listing import list_collections

__all__ = [
    "Wanted",
    "draw_seed",
    "erase",
    "export_feedback",
    "feedback_status",
    "forget_feedback",
    "import_feedback",
    "list_feedback",
    "log_search",
    "others_said",
    "record",
    "record_click",
    "replay",
    "said_about",
    "select_sayings",
]

logger = logging.getLogger(__name__)

_FLUSH_SECONDS = 2.0
_warned: set[str] = set()


def log_search(
    caller: Caller,
    location: Location,
    collection: Collection,
    results: SearchResults,
    *,
    k: int,
    filter: str | None = None,
    reranker: str | None = None,
    folded: Set[str] = frozenset(),
) -> None:
    """Queues an answer to be kept; adds some hundredths of a millisecond. `k` and `filter` as they were
    asked; `reranker` None where what is served decided, empty where none was wanted; `folded` are documents
    that are shown only when somebody unfolds the card that they are on.

    Never raises because of the log: what cannot be kept is said once in the log of the program.
    """
    if not results.query.strip():
        return  # a vector was asked, and nobody can judge that
    try:
        impression = make_impression(
            caller, collection, results, k=k, filter=filter, reranker=reranker, folded=folded
        )
        feedback_log(feedback_place(location)).add(impression)
    except IndexingError as error:
        if str(error) not in _warned:
            _warned.add(str(error))
            logger.warning("searches are not recorded: %s", error)


def record(
    caller: Caller,
    location: Location,
    name: str | Collection,
    query: str,
    document: str,
    kind: str,
    grade: int | None = None,
    impression: str = "",
    shown: Sequence[str] = (),
) -> Saying:
    """Keeps what a person says of a document as an answer to a question, on the disk when this returns.

    `kind` is one of `app.feedback.model.KINDS`: "up", "down", "answer" (this is the right one), "grade" (with
    a `grade` from 0 to 3), "none" (none of these: `document` is empty, `impression` or `shown` says which),
    "pasted" (`document` is the id, or text, of an answer that was brought), "undo" (takes back what was said
    of the document, of an empty one "none of these"). The last word of a person on a document counts.

    Raises:
        NotAllowed: the caller may not judge.
        BadInput: an unknown kind, grade or document.
        StorageError, LockedError: it could not be kept.
    """
    require(caller, "judge", name)
    if kind == "import":
        raise BadInput("kind 'import' comes from files: use import_feedback")
    place = feedback_place(location)
    with _opened(location, name) as collection:
        return record_saying(caller, place, collection, query, document, kind, grade, impression, shown)


def record_click(
    caller: Caller,
    location: Location,
    name: str | Collection,
    impression: str,
    document: str,
    kind: str = "click",
) -> None:
    """Queues a click on a document of an answer, or that its text was opened (`kind` "open").

    Raises:
        NotAllowed: the caller may not search.
        BadInput: there is no such kind.
    """
    require(caller, "search", name)
    with _opened(location, name) as collection:
        event = make_event(caller, collection.uuid, impression, document, kind)
    feedback_log(feedback_place(location)).add(event)


def said_about(caller: Caller, location: Location, name: str | Collection, query: str) -> dict[str, Saying]:
    """The last word of this person on each document for this question. An empty id is "none of these", there
    as long as no document that it was said of was called right since.

    Raises:
        NotAllowed: the caller may not search.
        StorageError: the database is damaged.
    """
    words = _words(caller, location, name, query)
    mine = {document: word for (person, document), word in words.items() if person in names_of(caller)}
    said = {document: word for document, word in mine.items() if word.kind != "none"}
    none = next((word for word in reversed(mine.values()) if word.kind == "none"), None)
    if none is not None and not any(said[one].grade > 0 for one in none.shown if one in said):
        said[""] = none
    return said


def others_said(
    caller: Caller, location: Location, name: str | Collection, query: str
) -> dict[str, dict[str, int]]:
    """Document → kind → how many others said that last. Raises as `said_about`."""
    counts: dict[str, dict[str, int]] = {}
    for (person, document), word in _words(caller, location, name, query).items():
        if person not in names_of(caller):
            kinds = counts.setdefault(document, {})
            kinds[word.kind] = kinds.get(word.kind, 0) + 1
    return counts


def _words(
    caller: Caller, location: Location, name: str | Collection, query: str
) -> dict[tuple[str, str], Saying]:
    require(caller, "search", name)
    place = feedback_place(location)
    if not place.exists:
        return {}
    with _opened(location, name) as collection:
        sayings = read_sayings(place, collection.uuid, question=question_hash(query))
    return {(person, document): word for (person, _, document), word in latest_words(sayings).items()}


def import_feedback(
    caller: Caller,
    location: Location,
    name: str | Collection,
    path: Path,
    *,
    format: str | None = None,
    split: str = "train",
    topics: Path | None = None,
) -> Imported:
    """Adds judgments from files, said by "import"; see `app.feedback.formats.read_judgments`. A second time
    adds nothing.

    Raises:
        NotAllowed: the caller may not manage.
        BadInput: a file is missing or of another kind.
        StorageError, LockedError: nothing was added.
    """
    require(caller, "manage", name)
    with _opened(location, name) as collection:
        file = read_judgments(path, format, split=split, topics=topics)
        unknown = find_unknown(collection, (judged.document for judged in file.judged))
        return import_judgments(feedback_place(location), collection.uuid, file, unknown)


def export_feedback(
    caller: Caller,
    location: Location,
    name: str | Collection,
    folder: Path,
    *,
    format: str = "beir",
    split: str = "train",
    wanted: Wanted | None = None,
) -> Exported:
    """Writes what was said of a collection, or what is `wanted` of it, as judgments into `folder`; see
    `app.feedback.exchange.export_judgments`.

    Raises:
        NotAllowed: the caller may not manage.
        BadInput: there is no such format, or a file exists already.
    """
    return export_judgments(select_sayings(caller, location, name, wanted), folder, format, split=split)


def select_sayings(
    caller: Caller, location: Location, name: str | Collection, wanted: Wanted | None = None
) -> list[Saying]:
    """What was said of a collection, or what is `wanted` of it, in the order in which it was said.

    Raises:
        NotAllowed: the caller may not manage.
    """
    _, _, sayings = _select(caller, location, name, wanted)
    return list(sayings)


def list_feedback(
    caller: Caller, location: Location, name: str | Collection, *, wanted: Wanted | None = None
) -> Iterator[dict[str, Any]]:
    """What is kept of a collection, or what is `wanted` of it: searches, clicks, then sayings, each
    with `what` it is.

    Raises:
        NotAllowed: the caller may not manage.
        StorageError: the database is damaged.
    """
    names = ("impression", "event", "saying")
    for what, records in zip(names, _select(caller, location, name, wanted), strict=True):
        for one in records:
            yield {"what": what, **one.to_dict()}


def _select(caller: Caller, location: Location, name: str | Collection, wanted: Wanted | None) -> Any:
    require(caller, "manage", name)
    place = feedback_place(location)
    feedback_log(place).flush(_FLUSH_SECONDS)
    with _opened(location, name) as collection:
        return select_feedback(place, collection.uuid, wanted or Wanted())


def erase(caller: Caller, location: Location, name: str | Collection, wanted: Wanted) -> Erased:
    """Erases what is kept of a person, a question or a document, from the files too.

    Raises:
        NotAllowed: the caller may not manage.
        BadInput: nothing is named.
        StorageError, LockedError: nothing was erased.
    """
    require(caller, "manage", name)  # of one's own words too: on many pages a name is what somebody typed
    place = feedback_place(location)
    feedback_log(place).flush(_FLUSH_SECONDS)
    with _opened(location, name) as collection:
        erased = erase_feedback(place, collection.uuid, wanted, Records(location, collection.uuid))
        texts = [one for one in (wanted.person, wanted.question, wanted.document) if one]
        forget_reports_with(location, collection.uuid, texts)
        return erased


def forget_feedback(location: Location, collection: str) -> str | None:
    """Erases what is kept of a collection (its uuid) that was just deleted. Returns what is left of it, in a
    sentence, or None: a collection that is gone is gone, whatever becomes of this.
    """
    place = feedback_place(location)
    feedback_log(place).flush(_FLUSH_SECONDS)
    left: list[str | None] = []
    for what, forget in (  # each by itself: nothing names the collection any more, and nobody tries again
        ("what was asked and said of it", lambda: forget_collection(place, collection)),
        ("what was tuned and tested of it", Records(location, collection).forget),
        ("the reports of it", lambda: forget_reports(location, collection)),
        ("the judgments that were brought for it", lambda: forget_judged_sets(location, collection)),
    ):
        try:
            left.append(forget())
        except IndexingError as error:
            left.append(f"{what} is still there: {error}")
    return "; ".join(filter(None, left)) or None


def feedback_status(caller: Caller, location: Location, name: str | Collection) -> FeedbackStatus:
    """How much is kept of a collection, and how.

    Raises:
        NotAllowed: the caller may not search.
        StorageError: the database is damaged.
    """
    require(caller, "search", name)
    place = feedback_place(location)
    feedback_log(place).flush(_FLUSH_SECONDS)
    with _opened(location, name) as collection:
        return read_status(place, collection.name, collection.uuid)


def replay(caller: Caller, location: Location, beginning: str) -> Replay:
    """Asks again what an impression asked, of what answered then; `beginning` of its id is enough.

    Raises:
        NotAllowed: the caller may not improve the search.
        BadInput: no impression begins so, several do, or its question was not kept.
    """
    require(caller, "improve")
    place = feedback_place(location)
    feedback_log(place).flush(_FLUSH_SECONDS)
    found = find_impressions(place, storable_text(beginning)) if beginning else []
    if len(found) != 1:
        what = "several impressions begin" if found else "no impression begins"
        raise BadInput(f"{what} with {beginning!r}: `stlib search --json` says the id of an answer")
    for name in list_collections(**location.arguments()).names:
        with Collection.open(name, **location.arguments()) as collection:
            if collection.uuid == found[0].collection:
                require(caller, "improve", collection)
                return replay_impression(collection, found[0])
    raise BadInput(f"the collection that answered {found[0].id} was deleted: there is nothing to ask")


@contextmanager
def _opened(location: Location, name: str | Collection) -> Iterator[Collection]:
    """A collection by its name, closed again; or the one that the caller holds."""
    if isinstance(name, Collection):
        yield name
        return
    with Collection.open(name, **location.arguments()) as collection:
        yield collection
