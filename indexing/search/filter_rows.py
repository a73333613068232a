"""The same questions as `filter_sql`, answered by reading metadata row by row: for a database that has no
functions of ours. Searches ask the view of metadata by column first, which answers at once in either case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from indexing.catalog.bulk import stream_rows
from indexing.catalog.log import slices
from indexing.catalog.schema import DocumentRow
from indexing.catalog.stored import read_metadata
from indexing.columns.matching import matches
from indexing.normal_forms import normal_form
from indexing.search.filter_dates import instant_of
from indexing.search.filter_tree import Node
from indexing.search.filter_values import flat

__all__ = ["accepts", "has_kind", "known_fields", "matching_keys", "value_kinds"]

_ROWS = 5_000


def accepts(node: Node, metadata: str) -> bool:
    """Whether stored metadata fulfils a filter."""
    return matches(node, read_metadata(metadata))


def matching_keys(
    connection: Connection, collection_id: int, node: Node, among: Iterable[int] | None = None
) -> np.ndarray:
    """Keys of the live documents (only those `among` these, if given) that match, ascending, int64."""
    rows = _metadata(connection, collection_id, among)
    return np.sort(np.asarray([key for key, metadata in rows if matches(node, metadata)], dtype=np.int64))


def has_kind(connection: Connection, collection_id: int, field: str, kinds: Iterable[str]) -> bool:
    """Whether a live document has a value of one of these kinds in `field` (none: any value)."""
    wanted = set(kinds)
    found = (_kinds(metadata, field) for _, metadata in _metadata(connection, collection_id))
    return any(one & wanted if wanted else one for one in found)


def value_kinds(connection: Connection, collection_id: int, field: str) -> set[str]:
    """The kinds of values that live documents have in `field`, see `filter_sql.value_kinds`."""
    kinds: set[str] = set()
    for _, metadata in _metadata(connection, collection_id):
        kinds |= _kinds(metadata, field)
    return kinds


def known_fields(connection: Connection, collection_id: int, most: int) -> list[str]:
    """The names of up to `most` metadata fields, in order."""
    known: set[str] = set()
    for _, metadata in _metadata(connection, collection_id):
        known.update(flat(metadata))
        if len(known) >= most:
            break
    return sorted(known)[:most]


def _metadata(
    connection: Connection, collection_id: int, among: Iterable[int] | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(key, metadata) of live documents."""
    statement = select(DocumentRow.key, DocumentRow.meta).where(
        DocumentRow.collection_id == collection_id, ~DocumentRow.deleted
    )
    if among is None:
        statements = [statement]
    else:
        statements = [statement.where(DocumentRow.key.in_(part)) for part in slices(among)]
    for one in statements:
        for key, metadata in stream_rows(connection, one, _ROWS):
            yield key, read_metadata(metadata)


def _kinds(metadata: Mapping[str, Any], field: str) -> set[str]:
    """The kinds of the value in `field`, and of its elements where it is a list; none without one."""
    fields = flat(metadata) if "." in field else metadata
    if field not in fields:
        return set()
    value = fields[field]
    return {_kind(value), *map(_kind, value if isinstance(value, list) else ())}


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text" if instant_of(normal_form(value)) is None else "date"
    return "array" if isinstance(value, list) else "object"
