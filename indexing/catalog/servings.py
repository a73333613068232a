"""Rows of servings and of the history of which one was live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, insert, select, update

from indexing.catalog.collections import now
from indexing.catalog.numbers import take_number
from indexing.catalog.schema import CollectionRow, Promotion, ServingRow

__all__ = [
    "CREATE",
    "PROMOTE",
    "ROLLBACK",
    "TRIAL",
    "TRIAL_END",
    "PromotionInfo",
    "ServingInfo",
    "create_serving",
    "promotions_of",
    "read_serving",
    "servings_of",
    "set_gate",
    "set_live",
    "set_memory",
    "set_trial",
]

CREATE, PROMOTE, ROLLBACK = "create", "promote", "rollback"
TRIAL, TRIAL_END = "trial", "trial end"


@dataclass(frozen=True)
class ServingInfo:
    """One row of `serving`: what decides an answer. See `indexing.catalog.schema.ServingRow`."""

    id: int
    generation_id: int
    engine: str
    analysis: int
    query_model: dict[str, Any] | None
    memory: dict[str, Any] | None
    ranking: dict[str, Any]
    reranker: dict[str, Any] | None
    made_from: int | None
    note: str
    gate: dict[str, Any] | None
    created_at: str


@dataclass(frozen=True)
class PromotionInfo:
    """When which serving became live or was tried, and how."""

    serving_id: int
    kind: str
    who: str
    override: str | None
    at: str


def create_serving(connection: Connection, collection_id: int, values: dict[str, Any]) -> int:
    """The id of the new serving; `values` are the fields of `ServingInfo` but for its id and date."""
    row = {
        **values,
        "id": take_number(connection, ServingRow),
        "collection_id": collection_id,
        "created_at": now(),
    }
    connection.execute(insert(ServingRow).values(row))
    return int(row["id"])


def read_serving(connection: Connection, serving_id: int) -> ServingInfo | None:
    row = connection.execute(_select(ServingInfo, ServingRow).where(ServingRow.id == serving_id)).first()
    return None if row is None else ServingInfo(*row)


def servings_of(connection: Connection, collection_id: int) -> list[ServingInfo]:
    """Every serving of the collection, the oldest first."""
    statement = _select(ServingInfo, ServingRow).where(ServingRow.collection_id == collection_id)
    return [ServingInfo(*row) for row in connection.execute(statement.order_by(ServingRow.id))]


def promotions_of(connection: Connection, collection_id: int) -> list[PromotionInfo]:
    """What became live when, the oldest first."""
    statement = _select(PromotionInfo, Promotion).where(Promotion.collection_id == collection_id)
    return [PromotionInfo(*row) for row in connection.execute(statement.order_by(Promotion.id))]


def set_live(
    connection: Connection,
    collection_id: int,
    serving_id: int,
    kind: str,
    who: str = "",
    override: str | None = None,
) -> None:
    """Moves the pointer and notes it: the one update that changes what is searched."""
    connection.execute(
        update(CollectionRow).where(CollectionRow.id == collection_id).values(live_serving=serving_id)
    )
    _note(connection, collection_id, serving_id, kind, who, override)


def set_trial(
    connection: Connection, collection_id: int, serving_id: int | None, who: str = ""
) -> int | None:
    """Lets `serving_id` answer beside the live one, None nothing more; returns what did so before."""
    row = CollectionRow.id == collection_id
    before = connection.execute(select(CollectionRow.trial_serving).where(row)).scalar_one()
    connection.execute(update(CollectionRow).where(row).values(trial_serving=serving_id))
    if before is not None:
        _note(connection, collection_id, before, TRIAL_END, who, None)
    if serving_id is not None:
        _note(connection, collection_id, serving_id, TRIAL, who, None)
    return before


def set_gate(connection: Connection, serving_id: int, gate: dict[str, Any]) -> None:
    """Writes the verdict on a serving."""
    connection.execute(update(ServingRow).where(ServingRow.id == serving_id).values(gate=gate))


def set_memory(connection: Connection, serving_id: int, memory: dict[str, Any]) -> None:
    """The one change of a serving: what it remembers of documents that were erased is taken out of it."""
    connection.execute(update(ServingRow).where(ServingRow.id == serving_id).values(memory=memory))


def _note(
    connection: Connection, collection_id: int, serving_id: int, kind: str, who: str, override: str | None
) -> None:
    row = {
        "collection_id": collection_id,
        "serving_id": serving_id,
        "kind": kind,
        "who": who,
        "override": override,
        "at": now(),
    }
    connection.execute(insert(Promotion), row)


def _select(kind: type, table: Any) -> Any:
    return select(*(getattr(table, name) for name in cast(Any, kind).__dataclass_fields__))
