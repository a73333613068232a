"""Rows of the side database as the dataclasses of `app.feedback.model`, and back.

A row is its dataclass, column by column. SQLite keeps what it is given, and a copied home may bring anything:
what is read is checked, and raises ValueError where it is none of ours.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import sqlalchemy as sa

from app.feedback.model import EVENTS, KINDS, Event, Impression, Saying, Shown
from indexing.catalog.types import NUMBER

__all__ = ["columns_of", "read_row", "to_row"]

Record = TypeVar("Record", Impression, Event, Saying)

_LATEST = 1e11  # seconds until the year 5138
_LARGEST = 2**53


@dataclass(frozen=True)
class _Kind:
    """How values of one Python type are kept: the column's type, what reads one, what writes one."""

    column: type[sa.types.TypeEngine[Any]] | sa.types.TypeEngine[Any]
    read: Callable[[Any], Any]
    write: Callable[[Any], Any] = lambda value: value


def _wrong(value: Any) -> ValueError:
    return ValueError(f"{str(value)[:40]!r} stands where it cannot")


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _wrong(value)
    return value


def _whole(value: Any) -> int:
    if type(value) is not int or not -_LARGEST <= value <= _LARGEST:
        raise _wrong(value)
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= _LATEST:
        raise _wrong(value)
    return float(value)


def _flag(value: Any) -> bool:
    if value not in (0, 1):
        raise _wrong(value)
    return bool(value)


def _list(value: Any) -> list[Any]:
    found = json.loads(_text(value))
    if type(found) is not list:
        raise _wrong(value)
    return found


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(one) for one in _list(value))


def _pair(value: Any) -> tuple[int, int]:
    first, second = _list(value)
    return _whole(first), _whole(second)


def _shown(value: Any) -> tuple[Shown, ...]:
    return tuple(_one_shown(*one) for one in _list(value))


def _one_shown(document: Any, rank: Any, score: Any, team: Any = None, folded: Any = 0) -> Shown:
    if type(score) not in (int, float) or not math.isfinite(score):
        raise _wrong(score)
    team = None if team is None else _whole(team)
    return Shown(_text(document), _whole(rank), float(score), team, _flag(folded))


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _dump_shown(shown: tuple[Shown, ...]) -> str:
    return _dump([_pack_shown(one) for one in shown])


def _pack_shown(one: Shown) -> list[Any]:
    """What is as usual is left out."""
    rest = [one.team, 1] if one.folded else [one.team] if one.team is not None else []
    return [one.document, one.rank, one.score, *rest]


_KINDS = {
    "str": _Kind(sa.Text, _text),
    "int": _Kind(NUMBER, _whole),
    "float": _Kind(sa.Float, _number),
    "bool": _Kind(NUMBER, _flag, int),  # Boolean would read anything as a truth value
    "tuple[str, ...]": _Kind(sa.Text, _texts, _dump),
    "tuple[int, int]": _Kind(sa.Text, _pair, _dump),
    "tuple[Shown, ...]": _Kind(sa.Text, _shown, _dump_shown),
}


def _kinds_of(record: type) -> dict[str, tuple[_Kind, bool]]:
    """Of each field, and whether it may be None."""
    return {
        field.name: (_KINDS[str(field.type).removesuffix(" | None")], str(field.type).endswith(" | None"))
        for field in fields(record)
    }


_FIELDS: dict[type, dict[str, tuple[_Kind, bool]]] = {
    record: _kinds_of(record) for record in (Impression, Event, Saying)
}
_ALLOWED = {Event: EVENTS, Saying: KINDS}  # of the field `kind`


def columns_of(record: type) -> list[sa.Column[Any]]:
    """The columns of a table whose rows are `record`s; the first field is the primary key."""
    return [
        sa.Column(name, kind.column, primary_key=name == "id", nullable=optional)
        for name, (kind, optional) in _FIELDS[record].items()
    ]


def to_row(item: Impression | Event | Saying) -> dict[str, Any]:
    """The values of the columns. A number that the table gives is left out."""
    kinds = _FIELDS[type(item)]
    return {
        name: None if value is None else kinds[name][0].write(value)
        for name, value in vars(item).items()
        if name != "id" or value
    }


def read_row(record: type[Record], row: Any) -> Record:
    """
    Raises:
        ValueError: something else than this module wrote there.
    """
    try:
        values = {
            name: None if value is None and optional else kind.read(value)
            for value, (name, (kind, optional)) in zip(row, _FIELDS[record].items(), strict=True)
        }
    except (TypeError, RecursionError) as error:
        raise ValueError(f"row {str(row[0])[:40]!r}: {type(error).__name__}") from error
    if record in _ALLOWED and values["kind"] not in _ALLOWED[record]:
        raise _wrong(values["kind"])
    return record(**values)  # type: ignore[arg-type]
