"""Counting the values of metadata fields, for building filters. In bounded memory and short transactions."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine

from indexing.catalog.database import reading
from indexing.catalog.reads import metadata_after
from indexing.catalog.stored import read_metadata

__all__ = ["MAX_FIELDS", "MAX_VALUES", "FacetCounts", "count_facets"]

Scalar = str | int | float | bool

# A field with more values is no choice; counting on would cost some hundred bytes for each.
MAX_VALUES = 10_000
# Fields of documents that give every field a name of its own.
MAX_FIELDS = 1_000
# A longer text is no choice either; it is counted by its hash.
MAX_CHARACTERS = 256
BATCH_DOCUMENTS = 2_000


@dataclass(frozen=True)
class FacetCounts:
    """A field's most frequent `values` with their number of documents, and how many `distinct` ones there
    are. Past `MAX_VALUES` the rest is not counted, and `complete` is False.
    """

    values: list[tuple[Scalar, int]]
    distinct: int
    documents: int
    complete: bool = True


@dataclass
class _Field:
    documents: int = 0
    complete: bool = True
    # True and 1 are equal in Python but different values of a field, hence the type.
    counts: Counter[tuple[str, Scalar]] = field(default_factory=Counter)

    def add(self, value: Any) -> None:
        self.documents += 1
        for element in value if isinstance(value, list) else [value]:
            if element is None:
                continue
            key = _key(element)
            if key in self.counts or len(self.counts) < MAX_VALUES:
                self.counts[key] += 1
            else:
                self.complete = False

    def facet(self, max_values: int) -> FacetCounts:
        shown = ((key, count) for key, count in self.counts.items() if key[0] != "long")
        ordered = sorted(shown, key=lambda item: (-item[1], str(item[0][1])))[:max_values]
        values = [(value, count) for (_, value), count in ordered]
        return FacetCounts(values, len(self.counts), self.documents, self.complete)


def count_facets(
    engine: Engine, collection_id: int, last_seq: int, max_values: int
) -> dict[str, FacetCounts]:
    """field → counts, fields by name, values by falling count; a list counts once per element.

    Documents that changed after `last_seq` may be left out.
    """
    fields: dict[str, _Field] = {}
    for metadata in _all_metadata(engine, collection_id, last_seq):
        for name, value in read_metadata(metadata).items():
            if name in fields or len(fields) < MAX_FIELDS:
                fields.setdefault(name, _Field()).add(value)
    return {name: fields[name].facet(max_values) for name in sorted(fields) if fields[name].counts}


def _all_metadata(engine: Engine, collection_id: int, last_seq: int) -> Iterator[str]:
    seq = 0
    while True:
        with reading(engine) as connection:
            rows = metadata_after(connection, collection_id, seq, last_seq, BATCH_DOCUMENTS)
        if not rows:
            return
        seq = rows[-1][0]
        yield from (metadata for _, metadata in rows)


def _key(value: Scalar) -> tuple[str, Scalar]:
    if isinstance(value, str) and len(value) > MAX_CHARACTERS:
        return "long", hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return type(value).__name__, value
