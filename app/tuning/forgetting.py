"""What erasing takes out of the records of tuning: words of questions that nobody's feedback holds any more.

Hashes of questions stay: they tell which servings learned from what, and which questions a test has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.feedback.questions import question_hash
from app.settings import Location
from app.tuning.place import tuning_database
from app.tuning.runs import (
    LOOK_QUESTIONS,
    LOOKS,
    RUNS,
    SERVING_QUESTIONS,
    TRIALS,
    open_records,
    servings_of_questions,
)
from indexing.catalog.database import database_name, map_errors, writing
from indexing.catalog.dialect import dialect_of
from indexing.errors import IndexingError
from indexing.storage.paths import is_there

__all__ = ["ERASED", "Records"]

ERASED = "(erased)"
"""Stands in a report where a question was."""

_REPORTS = ((RUNS, ("details", "gate")), (LOOKS, ("report",)), (TRIALS, ("report",)))


@dataclass(frozen=True)
class Records:
    """The records of a collection (its uuid); nothing is made where there are none."""

    location: Location
    collection: str

    def servings_of(self, questions: Iterable[str]) -> Sequence[int]:
        """Servings that were tuned with any of these questions (hashes).

        Raises:
            StorageError: the records are damaged.
        """
        return servings_of_questions(self.location, self.collection, questions)

    def forget_texts(self, questions: Collection[str]) -> None:
        """Puts `ERASED` in place of these questions (hashes) in the reports.

        Raises:
            StorageError, LockedError: nothing was changed.
        """
        self._forget(lambda said: question_hash(said) in questions, anything=bool(questions))

    def forget_documents(self, names: Collection[str]) -> None:
        """The same for ids and titles of documents."""
        self._forget(lambda said: said in names, anything=bool(names))

    def _forget(self, is_wanted: Callable[[str], bool], *, anything: bool) -> None:
        if not anything or not is_there(tuning_database(self.location)):
            return
        with open_records(self.location) as engine, writing(engine) as connection:
            for table, names in _REPORTS:
                columns = [table.c[name] for name in names]
                mine = sa.select(table.c.id, *columns).where(table.c.collection == self.collection)
                for id_, *reports in connection.execute(mine).all():
                    blanked = [_blank(report, is_wanted) for report in reports]
                    if blanked != reports:
                        values = dict(zip(names, blanked, strict=True))
                        connection.execute(table.update().where(table.c.id == id_).values(values))

    def write_anew(self) -> str | None:
        """Gets rid of the bytes of what was taken out, now or before. Returns why they may still be in the
        file, or None; who asks again tries again.
        """
        if not is_there(tuning_database(self.location)):
            return None
        with open_records(self.location) as engine:
            return _write_anew(engine)

    def forget(self) -> str | None:
        """Deletes all of them, for a collection that was deleted. Returns as `write_anew`, raises as
        `forget_texts`.
        """
        if not is_there(tuning_database(self.location)):
            return None
        with open_records(self.location) as engine:
            with writing(engine) as connection:
                for table in (RUNS, LOOKS, TRIALS, LOOK_QUESTIONS, SERVING_QUESTIONS):
                    mine = table.c.collection == self.collection
                    connection.execute(table.delete().where(mine))
            return _write_anew(engine)


def _blank(said: Any, is_wanted: Callable[[str], bool]) -> Any:
    """`said`, a value of JSON, without the texts that are wanted gone."""
    if isinstance(said, str):
        return ERASED if is_wanted(said) else said
    if isinstance(said, dict):
        return {_blank(name, is_wanted): _blank(value, is_wanted) for name, value in said.items()}
    if isinstance(said, Iterable):
        return [_blank(one, is_wanted) for one in said]
    return said


def _write_anew(engine: sa.Engine) -> str | None:
    """Why it could not, or None."""
    tables = [table.name for table in (RUNS, LOOKS, TRIALS, LOOK_QUESTIONS, SERVING_QUESTIONS)]
    try:
        with map_errors(engine):
            why = dialect_of(engine).scrub(engine, tables)
    except IndexingError as error:
        why = str(error)
    if why is None:
        return None
    return (
        f"pending: the old bytes may still be in {database_name(engine)}: {why}; the next"
        " `stlib feedback erase` tries again"
    )
