"""Counting the values of metadata fields, for building filters."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import Connection

from indexing.catalog.reads import all_metadata

__all__ = ["FacetCounts", "count_facets"]

Scalar = str | int | float | bool


@dataclass(frozen=True)
class FacetCounts:
    """A field's most frequent `values` with their number of documents, and how many `distinct` ones there
    are.
    """

    values: list[tuple[Scalar, int]]
    distinct: int
    documents: int


def count_facets(connection: Connection, collection_id: int, max_values: int) -> dict[str, FacetCounts]:
    """field → counts, fields by name, values by falling count; a list counts once per element."""
    counts: dict[str, Counter[tuple[str, Scalar]]] = {}
    documents: Counter[str] = Counter()
    for _, metadata in all_metadata(connection, collection_id):
        for name, value in json.loads(metadata).items():
            documents[name] += 1
            for element in value if isinstance(value, list) else [value]:
                if element is not None:
                    # True and 1 are equal in Python but different values of a field.
                    counts.setdefault(name, Counter())[(type(element).__name__, element)] += 1
    return {name: _facet(counts[name], max_values, documents[name]) for name in sorted(counts)}


def _facet(counter: Counter[tuple[str, Scalar]], max_values: int, documents: int) -> FacetCounts:
    ordered = sorted(counter.items(), key=lambda item: (-item[1], str(item[0][1])))
    return FacetCounts(
        [(value, count) for (_, value), count in ordered[:max_values]], len(ordered), documents
    )
