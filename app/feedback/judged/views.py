"""Who was shown which document at which rank, and clicked or not: what clicks can be counted from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from app.feedback.model import Event, Impression
from app.feedback.place import FeedbackPlace
from app.feedback.table import EVENTS, IMPRESSIONS, open_to_read, read_events, read_rows

__all__ = ["Views", "count_sessions", "make_views", "read_views"]

MOST_IMPRESSIONS = 50_000
"""The newest count. Reading them takes about a second, and more would hardly change what is known of ranks.
"""


@dataclass(frozen=True)
class Views:
    """A row for each person, question and document that this person was shown for it; all arrays are [n].

    A person counts once for each: hundreds of clicks of one are one. The first time is the one that counts,
    with the clicks on the document at that rank, however often the answer was asked for again.

    Attributes:
        question, document: int64, positions in `questions` and `documents`.
        rank: int64, from 1; clicked: bool; score: float64.
        scale: int64, which scores can be compared: those of one mode of one serving have the same.
        questions: ids, texts: of the same, as first asked, first: when that was.
    """

    question: np.ndarray
    document: np.ndarray
    rank: np.ndarray
    clicked: np.ndarray
    score: np.ndarray
    scale: np.ndarray
    questions: tuple[str, ...]
    texts: tuple[str, ...]
    first: tuple[float, ...]
    documents: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rank)


def count_sessions(place: FeedbackPlace, collection: str) -> int:
    """In how many sessions something was clicked. A session is one person and one question here, as often as
    that was asked; it needs no look at the answers.
    """
    if not place.exists:
        return 0
    person = sa.func.coalesce(
        sa.func.nullif(IMPRESSIONS.c.who, ""), sa.func.nullif(IMPRESSIONS.c.session, ""), IMPRESSIONS.c.id
    )
    sessions = (
        sa.select(person, IMPRESSIONS.c.query_hash)
        .join(EVENTS, EVENTS.c.impression == IMPRESSIONS.c.id)
        .where((IMPRESSIONS.c.collection == collection) & (EVENTS.c.collection == collection))
        .distinct()
    )
    counted = sa.select(sa.func.count()).select_from(sessions.subquery())
    with open_to_read(place) as connection:
        return int(connection.execute(counted).scalar_one())


def read_views(place: FeedbackPlace, collection: str, most: int = MOST_IMPRESSIONS) -> Views:
    """Of the newest `most` answers of a collection (its uuid). Those of which only hashes are kept are no
    use: without the question nothing can be learned.

    Raises:
        StorageError: the database is damaged.
    """
    if not place.exists:
        return make_views([], [])
    known = (IMPRESSIONS.c.collection == collection) & (IMPRESSIONS.c.hashed == 0)
    times = sa.select(IMPRESSIONS.c.at).where(known).order_by(IMPRESSIONS.c.at.desc())
    with open_to_read(place) as connection:
        since = connection.execute(times.limit(1).offset(most - 1)).scalar() or 0.0
    newest = [known, IMPRESSIONS.c.at >= since]
    impressions = read_rows(place, Impression, newest, IMPRESSIONS.c.at)
    return make_views(impressions, read_events(place, collection))


def make_views(impressions: Iterable[Impression], events: Iterable[Event]) -> Views:
    """`impressions` are in the order of time. Openings of a text count as clicks."""
    clicks = {(event.impression, event.document) for event in events}
    questions: dict[str, tuple[int, str, float]] = {}
    documents: dict[str, int] = {}
    scales: dict[tuple[str, int | None], int] = {}
    rows: dict[tuple[str, int, int], list[float]] = {}
    for one in impressions:
        question, *_ = questions.setdefault(one.query_hash, (len(questions), one.query, one.at))
        folded = 0
        for shown in one.shown:
            clicked = (one.id, shown.document) in clicks
            folded += shown.folded
            if shown.folded and not clicked:
                continue  # nobody saw it
            rank = shown.rank if shown.folded else shown.rank - folded
            scale = scales.setdefault((one.mode, shown.team or one.serving), len(scales))
            document = documents.setdefault(shown.document, len(documents))
            row = rows.setdefault(
                (one.person or one.id, question, document),
                [question, document, rank, clicked, shown.score, scale],
            )
            row[3] = row[3] or (clicked and row[2] == rank)
    return _to_views(list(rows.values()), list(questions.items()), list(documents))


def _to_views(
    rows: Sequence[Sequence[float]],
    questions: Sequence[tuple[str, tuple[int, str, float]]],
    documents: Sequence[str],
) -> Views:
    table = np.array(rows, np.float64).reshape(-1, 6)
    question, document, rank, clicked, score, scale = table.T
    return Views(
        question.astype(np.int64),
        document.astype(np.int64),
        rank.astype(np.int64),
        clicked > 0,
        score,
        scale.astype(np.int64),
        tuple(id_ for id_, _ in questions),
        tuple(text for _, (_, text, _) in questions),
        tuple(at for _, (_, _, at) in questions),
        tuple(documents),
    )
