"""What a filter means for stored documents: asked in SQL where the database compares as filters do, else by
reading their metadata. Both say the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np
from sqlalchemy import Connection

from indexing.catalog.dialect import dialect_of
from indexing.catalog.stored import Selection
from indexing.search import filter_rows, filter_sql
from indexing.search.filter_tree import Node

__all__ = ["has_kind", "known_fields", "matching_keys", "selection_of", "value_kinds"]


def selection_of(connection: Connection, node: Node | None) -> Selection:
    """The documents that match; all without a filter."""
    if node is None:
        return Selection()
    if dialect_of(connection).COMPARES_FILTERS:
        return Selection(condition=filter_sql.condition(node))
    return Selection(accepts=partial(filter_rows.accepts, node))


def matching_keys(
    connection: Connection, collection_id: int, node: Node, among: Iterable[int] | None = None
) -> np.ndarray:
    """Keys of the live documents (only those `among` these, if given) that match, ascending, int64."""
    if dialect_of(connection).COMPARES_FILTERS:
        return filter_sql.matching_keys(connection, collection_id, node, among)
    return filter_rows.matching_keys(connection, collection_id, node, among)


def has_kind(connection: Connection, collection_id: int, field: str, kinds: Iterable[str]) -> bool:
    """Whether a live document has a value of one of these kinds in `field` (none: any value)."""
    if dialect_of(connection).COMPARES_FILTERS:
        return filter_sql.has_kind(connection, collection_id, field, kinds)
    return filter_rows.has_kind(connection, collection_id, field, kinds)


def value_kinds(connection: Connection, collection_id: int, field: str) -> set[str]:
    """The kinds of values that live documents have in `field`, see `filter_sql.value_kinds`."""
    if dialect_of(connection).COMPARES_FILTERS:
        return filter_sql.value_kinds(connection, collection_id, field)
    return filter_rows.value_kinds(connection, collection_id, field)


def known_fields(connection: Connection, collection_id: int) -> list[str]:
    """The names of metadata fields, in order; of very many some."""
    if dialect_of(connection).COMPARES_FILTERS:
        return filter_sql.known_fields(connection, collection_id)
    return filter_rows.known_fields(connection, collection_id, filter_sql.MAX_FIELDS)
