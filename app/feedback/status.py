"""How much feedback there is, and how it is kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from app.feedback.log import feedback_log
from app.feedback.model import Event, Impression, latest_words
from app.feedback.place import FeedbackPlace
from app.feedback.table import count_rows, feedback_database, read_sayings
from app.settings import log_settings
from indexing.catalog.dialect import dialect_of

__all__ = ["FeedbackStatus", "read_status"]


@dataclass(frozen=True)
class FeedbackStatus:
    """Of one collection.

    Attributes:
        impressions, events, sayings: how many are kept; `sayings` with those that were replaced.
        questions, judgments, people: with a word that counts; a judgment is one of a document for a question.
        kinds: kind of saying → how many of the words that count.
        mode, days: as the settings have it: what is kept of a search, for how long (None: without end).
        bytes: of the database, which all collections of a home share.
        dropped: searches and clicks that this process could not write.
    """

    collection: str
    impressions: int
    events: int
    sayings: int
    questions: int
    judgments: int
    people: int
    kinds: dict[str, int]
    mode: str
    days: int | None
    bytes: int
    dropped: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_status(place: FeedbackPlace, name: str, collection: str) -> FeedbackStatus:
    """
    Raises:
        StorageError: the database is damaged.
        BadInput: a setting is none.
    """
    sayings = read_sayings(place, collection)
    words = latest_words(sayings)
    kinds: dict[str, int] = {}
    for word in words.values():
        kinds[word.kind] = kinds.get(word.kind, 0) + 1
    settings = log_settings()
    return FeedbackStatus(
        collection=name,
        impressions=count_rows(place, Impression, collection),
        events=count_rows(place, Event, collection),
        sayings=len(sayings),
        questions=len({hashed for _, hashed, _ in words}),
        judgments=len({(hashed, document) for _, hashed, document in words}),
        people=len({person for person, *_ in words}),
        kinds=dict(sorted(kinds.items())),
        mode=settings.mode,
        days=settings.days,
        bytes=_file_bytes(place),
        dropped=feedback_log(place).dropped,
    )


def _file_bytes(place: FeedbackPlace) -> int:
    if not place.exists:
        return 0
    engine = feedback_database(place)
    return dialect_of(engine).file_bytes(engine, place.database)
