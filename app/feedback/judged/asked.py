"""How often questions were asked, counted by the database."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from app.feedback.hashes import keyed_hash
from app.feedback.place import FeedbackPlace
from app.feedback.table import IMPRESSIONS, open_to_read

__all__ = ["count_visits"]


def count_visits(place: FeedbackPlace, collection: str, questions: Iterable[str]) -> dict[str, int]:
    """Question → in how many visits it was asked, of those that were asked at all. Where only hashes are kept
    the questions' ids are found by the keyed ones.
    """
    if not place.exists:
        return {}
    visit = sa.func.coalesce(sa.func.nullif(IMPRESSIONS.c.session, ""), IMPRESSIONS.c.id)
    counted = (
        sa.select(IMPRESSIONS.c.query_hash, IMPRESSIONS.c.hashed, sa.func.count(sa.distinct(visit)))
        .where(IMPRESSIONS.c.collection == collection)
        .group_by(IMPRESSIONS.c.query_hash, IMPRESSIONS.c.hashed)
    )
    plain: dict[str, int] = {}
    hashed: dict[str, int] = {}
    with open_to_read(place) as connection:
        for question, keyed, count in connection.execute(counted):
            (hashed if keyed else plain)[question] = count
    found = {one: plain.get(one, 0) + (hashed.get(keyed_hash(one), 0) if hashed else 0) for one in questions}
    return {question: count for question, count in found.items() if count}
