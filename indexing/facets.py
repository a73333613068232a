"""Counting the values of metadata fields, for building filters. In bounded memory and short transactions."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from indexing.catalog.database import reading
from indexing.catalog.following import MetadataChange, metadata_changes_after
from indexing.catalog.stored import read_metadata
from indexing.columns.facets import FieldCounts, add_documents, add_snapshot
from indexing.columns.snapshot import ColumnSnapshot
from indexing.columns.values import Key, NotCovered
from indexing.errors import CorruptView
from indexing.normal_forms import normal_form
from indexing.search.filter_values import flat
from indexing.session import Session
from indexing.views.columns import ColumnView

__all__ = ["MAX_FIELDS", "MAX_VALUES", "FacetCounts", "count_facets"]

logger = logging.getLogger(__name__)

Scalar = str | int | float | bool

# A field with more values is no choice; counting on would cost some hundred bytes for each.
MAX_VALUES = 10_000
# Fields of documents that give every field a name of its own.
MAX_FIELDS = 1_000
BATCH_DOCUMENTS = 2_000


@dataclass(frozen=True)
class FacetCounts:
    """A field's most frequent `values` with their number of documents, and how many `distinct` ones there
    are. Past `MAX_VALUES` the rest is not counted, and `complete` is False. Texts that differ in case, width
    or ways of writing are one value, in its most frequent spelling.

    Attributes:
        documents: how many have the field.
        years: of a field that holds dates alone, the years (`2024`) with their number of values, the latest
            first.
    """

    values: list[tuple[Scalar, int]]
    distinct: int
    documents: int
    complete: bool = True
    years: tuple[tuple[str, int], ...] = ()


def count_facets(session: Session, columns: ColumnView, max_values: int) -> dict[str, FacetCounts]:
    """field → counts, fields by name, values by falling count; a list counts once per element.

    From the view of metadata by column; where that is far behind, from the documents too that changed since,
    of which those that change meanwhile may be left out.
    """
    fields = _count_by_column(session, columns)
    if fields is None:
        fields = _count_with_changes(session, columns)
    return {name: _facet(fields[name], max_values) for name in sorted(fields) if fields[name].counts}


def _count_by_column(session: Session, columns: ColumnView) -> dict[str, FieldCounts] | None:
    try:
        with session.looking() as (connection, _):
            reader = columns.reader(connection)
        return None if reader is None else reader.count(MAX_VALUES, MAX_FIELDS)
    except NotCovered:
        return None
    except CorruptView as error:
        logger.warning("counting the documents instead: %s", error)
        columns.examine()
        return None


def _count_with_changes(session: Session, columns: ColumnView) -> dict[str, FieldCounts]:
    """From the newest snapshot and the documents that changed since, one by one; from all where it is of no
    use.
    """
    with session.looking() as (_, state):
        seq, snapshot = columns.newest(state)
        last_seq = state.last_seq
    try:
        return _count_after(session, seq, last_seq, snapshot)
    except (NotCovered, CorruptView):
        return _count_after(session, 0, last_seq, None)


def _count_after(
    session: Session, seq: int, last_seq: int, snapshot: ColumnSnapshot | None
) -> dict[str, FieldCounts]:
    fields: dict[str, FieldCounts] = {}
    changed: list[int] = []
    for row in _changes(session, seq, last_seq):
        changed.append(row.key)
        if not row.deleted:
            add_documents(fields, [flat(read_metadata(row.metadata))], MAX_VALUES, MAX_FIELDS)
    if snapshot is not None:
        add_snapshot(fields, snapshot, np.asarray(sorted(changed), np.int64), MAX_VALUES, MAX_FIELDS)
    for counts in fields.values():
        counts.cut(MAX_VALUES)
    return fields


def _changes(session: Session, seq: int, last_seq: int) -> Iterator[MetadataChange]:
    while seq < last_seq:
        with reading(session.database) as connection:
            rows = metadata_changes_after(connection, session.id, seq, BATCH_DOCUMENTS)
        yield from (row for row in rows if row.seq <= last_seq)
        seq = rows[-1].seq if rows else last_seq


def _facet(field: FieldCounts, max_values: int) -> FacetCounts:
    """The values that can be shown; long ones are counted only."""
    counts = _merge_spellings(field.counts)
    shown = ((value, count) for (group, value), count in counts.items() if group != "long")
    ordered = sorted(shown, key=lambda item: (-item[1], str(item[0])))[:max_values]
    distinct = len(counts) if field.complete else field.distinct
    years = sorted(field.years.items(), reverse=True) if sum(field.years.values()) == field.values else []
    written = tuple((f"{year:04}", count) for year, count in years)
    return FacetCounts(ordered, distinct, field.documents, field.complete, written)


def _merge_spellings(counts: Mapping[Key, int]) -> dict[Key, int]:
    """Texts that compare as the same as one, the most frequent spelling standing for all of them."""
    spellings: dict[Key, list[tuple[Key, int]]] = {}
    for key, count in counts.items():
        form = ("text", normal_form(key[1])) if key[0] == "text" else key
        spellings.setdefault(form, []).append((key, count))
    return {
        min(same, key=lambda one: (-one[1], str(one[0][1])))[0]: sum(count for _, count in same)
        for same in spellings.values()
    }
