"""Reading all judgments of a collection at once: `read_judged`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from app.feedback.judged.judgments import Judged, measure_agreement, settle_sayings
from app.feedback.judged.model import JudgedSet, Question
from app.feedback.judged.places import place_and_keep
from app.feedback.judged.split import Placed
from app.feedback.judged.visits import count_visits
from app.feedback.place import feedback_place
from app.feedback.table import read_sayings
from app.settings import Location
from indexing import Collection
from indexing.catalog.log import slices
from indexing.errors import BadInput

__all__ = ["CLICKS", "read_judged"]

CLICKS = ("auto", "off")


def read_judged(location: Location, collection: Collection, *, clicks: str = "auto") -> JudgedSet:
    """All that was judged in `collection`, each question with its side.

    What people said comes first. With `clicks` "auto" clicks grade documents that nobody spoke of, once there
    are enough of them (see `app.feedback.judged.clicks`); "off" leaves them out. Documents that
    are not in the collection any more are left out.

    Questions that were never read before get their side here, which is kept: see `app.feedback.judged.split`.

    Raises:
        BadInput: `clicks` is neither.
        StorageError: the database is damaged. LockedError: another process writes for too long.
    """
    if clicks not in CLICKS:
        raise BadInput(f"clicks {clicks!r}: use one of {', '.join(CLICKS)}")
    place = feedback_place(location)
    judged = settle_sayings(read_sayings(place, collection.uuid))
    gone = _find_gone(collection, judged)
    texts = {one.id: one.text for one in sorted(judged.values(), key=lambda one: (one.first, one.id))}
    places = place_and_keep(place, collection.uuid, texts)
    returning = _find_returning(judged, places, count_visits(place, collection.uuid, judged))
    questions = _make_questions(judged, places, returning, gone)
    return JudgedSet(questions, measure_agreement(judged), notes=_notes(gone))


def _find_gone(collection: Collection, judged: Mapping[str, Judged]) -> set[str]:
    """Judged documents that are not there."""
    documents = {document for one in judged.values() for document in one.words}
    there: set[str] = set()
    for part in slices(sorted(documents)):
        there.update(collection.get(part))
    return documents - there


def _make_questions(
    judged: Mapping[str, Judged], places: Mapping[str, Placed], returning: set[str], gone: set[str]
) -> tuple[Question, ...]:
    questions = []
    for id_, one in sorted(judged.items()):
        grades = {document: grade for document, grade in sorted(one.grades.items()) if document not in gone}
        if grades:
            side, conflicts = places[id_].side, one.conflicts - gone
            questions.append(
                Question(id_, one.text, side, id_ in returning, grades, conflicts, len(one.people))
            )
    return tuple(questions)


def _find_returning(
    judged: Mapping[str, Judged], places: Mapping[str, Placed], asked: Mapping[str, int]
) -> set[str]:
    """Questions that were asked in two visits or more, or judged by two people, or like another one."""
    sizes = Counter(places[id_].group for id_ in judged)
    return {
        id_
        for id_, one in judged.items()
        if asked.get(id_, 0) > 1 or len(one.people) > 1 or sizes[places[id_].group] > 1
    }


def _notes(gone: set[str]) -> tuple[str, ...]:
    if not gone:
        return ()
    return (f"{len(gone)} judged documents are not in the collection and were left out.",)
