"""Reading all judgments of a collection at once: `read_judged`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from app.feedback.judged.asked import count_visits
from app.feedback.judged.clicks import LEAST_SESSIONS, ClickGrades, grade_clicks
from app.feedback.judged.judgments import Judged, measure_agreement, settle_sayings
from app.feedback.judged.model import JudgedSet, Question
from app.feedback.judged.places import place_and_keep
from app.feedback.judged.split import Placed
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
    agreement = measure_agreement(judged)
    clicked = grade_clicks(place, collection.uuid) if clicks == "auto" else ClickGrades()
    for one in clicked.questions.values():
        judged.setdefault(one.id, Judged(one.id, one.text, one.first))
    gone = _find_gone(collection, judged, clicked)
    texts = {one.id: one.text for one in sorted(judged.values(), key=lambda one: (one.first, one.id))}
    places = place_and_keep(place, collection.uuid, texts)
    returning = _find_returning(judged, places, count_visits(place, collection.uuid, judged))
    questions = _make_questions(judged, places, returning, clicked, gone)
    used = any(one.clicked for one in questions)
    return JudgedSet(questions, agreement, used, clicked.sessions, _notes(clicked, gone))


def _find_gone(collection: Collection, judged: Mapping[str, Judged], clicked: ClickGrades) -> set[str]:
    """Judged documents that are not there."""
    documents = {document for one in judged.values() for document in one.words}
    documents |= {document for one in clicked.questions.values() for document in one.grades}
    there: set[str] = set()
    for part in slices(sorted(documents)):
        there.update(collection.get(part))
    return documents - there


def _make_questions(
    judged: Mapping[str, Judged],
    places: Mapping[str, Placed],
    returning: set[str],
    clicked: ClickGrades,
    gone: set[str],
) -> tuple[Question, ...]:
    """Of each what people said, and of documents that they did not speak of what clicks say."""
    questions = []
    for id_, one in sorted(judged.items()):
        said = {document: grade for document, grade in one.grades.items() if document not in gone}
        clicks = clicked.questions[id_].grades if id_ in clicked.questions else {}
        added = {doc: grade for doc, grade in clicks.items() if doc not in one.words and doc not in gone}
        if said or added:
            grades = dict(sorted({**said, **added}.items()))
            side, conflicts, people = places[id_].side, one.conflicts - gone, len(one.people)
            again = id_ in returning
            questions.append(
                Question(id_, one.text, side, again, grades, conflicts, people, frozenset(added))
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


def _notes(clicked: ClickGrades, gone: set[str]) -> tuple[str, ...]:
    notes = []
    if gone:
        notes.append(f"Judged documents that are not in the collection any more were left out: {len(gone)}.")
    if clicked.examination is not None:
        found = len(clicked.questions)
        notes.append(
            f"Clicks of {clicked.sessions} sessions graded documents of {found} questions; how far down"
            f" people look was found {clicked.examination.method}."
        )
    elif clicked.sessions:
        notes.append(
            f"Clicks of {clicked.sessions} sessions only fill the labelling queue: they count from"
            f" {LEAST_SESSIONS} on, and where enough fell on several ranks."
        )
    return tuple(notes)
