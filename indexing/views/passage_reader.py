"""Reading the passages of a snapshot's segments and of its tail: what does not depend on their codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

import numpy as np

from indexing.storage.segments import Sorted, find_rows, sort_with_order
from indexing.views.document_list import DocumentList
from indexing.views.sample import choose_documents, choose_passages
from stlib.util.forks import cached_property

__all__ = [
    "Hits",
    "Part",
    "PassageReader",
    "Stretch",
    "Tail",
    "best_documents",
    "rows_of_documents",
]

# So many rows that are gone, of all parts together, are fetched and thrown away rather than kept out by
# masks, which double the time of a scan.
_FEW_GONE = 256


@dataclass(frozen=True)
class Hits:
    """Documents, best first: `documents` int64 [n], `chunks` int64 [n] (the best chunk), `scores` float32
    [n]; `note`: what a person who searched should know of how, in a sentence, mostly nothing.
    """

    documents: np.ndarray
    chunks: np.ndarray
    scores: np.ndarray
    note: str = ""

    @classmethod
    def none(cls) -> Hits:
        return cls(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


class Stretch(Protocol):
    """Rows that are searched together: a segment, or what is newer than all of them."""

    @property
    def keys(self) -> np.ndarray: ...

    @property
    def doc_keys(self) -> np.ndarray: ...

    @property
    def by_document(self) -> Sorted: ...

    def __len__(self) -> int: ...

    def ensure_whole(self) -> None: ...

    def rows_of_keys(self, keys: np.ndarray) -> np.ndarray: ...


St = TypeVar("St", bound=Stretch)


class Tail:
    """Rows in memory."""

    def __init__(self, keys: np.ndarray, doc_keys: np.ndarray) -> None:
        self.keys, self.doc_keys = keys, doc_keys

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def by_document(self) -> Sorted:
        return sort_with_order(self.doc_keys)

    def ensure_whole(self) -> None:
        """Memory does not shrink."""

    def rows_of_keys(self, keys: np.ndarray) -> np.ndarray:
        return find_rows(sort_with_order(self.keys), keys)


@dataclass(frozen=True)
class Part(Generic[St]):
    """A stretch, the rows of it that are gone (ascending), and the number of its first row."""

    stretch: St
    gone: np.ndarray
    first: int

    @property
    def live(self) -> int:
        return len(self.stretch) - len(self.gone)

    def live_rows(self) -> np.ndarray:
        return np.delete(np.arange(len(self.stretch)), self.gone)

    def mask(self, allowed: np.ndarray | None) -> np.ndarray:
        """Rows that may be returned."""
        if allowed is None:
            mask = np.ones(len(self.stretch), dtype=bool)
        else:
            documents = self.stretch.doc_keys
            mask = allowed.take(documents, mode="clip") if len(allowed) else np.zeros(len(documents), bool)
            if self.stretch.by_document[1][-1:].max(initial=0) >= len(allowed):
                mask &= documents < len(allowed)
        mask[self.gone] = False
        return mask


class PassageReader(Generic[St]):
    """One consistent state of the rows, held by a query from start to end.

    Ties are ordered by row: in the order of the log.
    """

    def __init__(self, parts: Sequence[Part[St]], stored: DocumentList, change: int) -> None:
        """`change`: what happened up to there is known. `stored`: the documents of all rows of the snapshot.
        The last of `parts` is what is newer.
        """
        self.change = change
        self._parts = parts
        self._stored_documents = stored

    def _followed(self, tail: St | None, removed: np.ndarray) -> list[Part[St]]:
        """The parts with another `tail`, if one is given, and without the rows of the keys `removed`."""
        parts = list(self._parts)
        if tail is not None:
            parts[-1] = replace(parts[-1], stretch=tail)
        if len(removed):
            for at, part in enumerate(parts):
                part.stretch.ensure_whole()
                if len(more := part.stretch.rows_of_keys(removed)):
                    parts[at] = replace(part, gone=np.union1d(part.gone, more))
        return parts

    @property
    def count(self) -> int:
        """How many passages a search can return."""
        return sum(part.live for part in self._parts)

    @property
    def live_keys(self) -> np.ndarray:
        """Chunk keys that a search can return, in row order."""
        self.ensure_whole()
        return np.concatenate([part.stretch.keys[part.live_rows()] for part in self._parts])

    def ensure_whole(self) -> None:
        """
        Raises:
            CorruptView: a segment does not match its checksums.
        """
        for part in self._parts:
            part.stretch.ensure_whole()

    def _masks(self, allowed: np.ndarray | None) -> tuple[list[np.ndarray | None], list[int]]:
        """Of each part the rows that may be returned, None: all but a few that are gone; and how many these
        are.
        """
        unmasked = self._with_few_gone() if allowed is None else frozenset()
        masks = [None if at in unmasked else part.mask(allowed) for at, part in enumerate(self._parts)]
        counts = [
            part.live if mask is None else int(np.count_nonzero(mask))
            for part, mask in zip(self._parts, masks, strict=True)
        ]
        return masks, counts

    def _with_few_gone(self) -> frozenset[int]:
        """Positions of parts whose rows that are gone are few, taken together."""
        gone = np.asarray([len(part.gone) for part in self._parts])
        order = np.argsort(gone, kind="stable")
        return frozenset(order[np.cumsum(gone[order]) <= _FEW_GONE].tolist())

    def rows_of(self, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The live rows of `documents` (keys int64 [n], ascending): for each the position of its document,
        int64 [m] ascending, and its number, counted over all parts.
        """
        owners, rows = [], []
        for part in self._parts:
            theirs, found = rows_of_documents(part, documents)
            owners.append(theirs)
            rows.append(found + part.first)
        all_owners, all_rows = np.concatenate(owners), np.concatenate(rows)
        order = np.lexsort((all_rows, all_owners))
        return all_owners[order], all_rows[order]

    def _sampled_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of rows that stand for the collection, and how much of a document each stands for."""
        documents = self._sampled_documents()
        owners, rows = self.rows_of(documents)
        counts = np.bincount(owners, minlength=len(documents))
        chosen, inside, weights = choose_passages(counts)
        return rows[(np.cumsum(counts) - counts)[chosen] + inside], weights

    def _sampled_documents(self) -> np.ndarray:
        """Some documents that have a live row, evenly spread, as `choose_documents` has them.

        What the snapshot has stays the same for as long as it is open; only what changed since is looked at.
        """
        stored, changed = self._stored_documents, self._changed_documents()
        is_stored = stored.contains(changed)
        is_live = np.zeros(len(changed), dtype=bool)
        for part in self._parts:
            owners, _ = rows_of_documents(part, changed)
            is_live[owners] = True
        dead = stored.places(changed[is_stored & ~is_live])
        new = changed[is_live & ~is_stored]
        new_at = stored.places(new)
        new_at += np.arange(len(new)) - np.searchsorted(dead, new_at)  # their places in the whole list
        places = choose_documents(len(stored) - len(dead) + len(new))
        older = places - np.searchsorted(new_at, places)
        older += np.searchsorted(dead - np.arange(len(dead)), older, "right")
        is_new = np.isin(places, new_at)
        documents = stored.at(np.minimum(older, len(stored) - 1)) if len(stored) else places
        documents[is_new] = new[np.searchsorted(new_at, places[is_new])]
        return documents

    def _changed_documents(self) -> np.ndarray:
        """Documents that are newer than the snapshot, or have a row in it that is gone; ascending."""
        gone = [part.stretch.doc_keys[part.gone] for part in self._parts]
        return np.unique(np.concatenate([self._parts[-1].stretch.doc_keys, *gone]))


def best_documents(hits: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]], k: int) -> Hits:
    """The documents of the best `k` rows, each once, of what several parts found: rows, documents, chunks and
    scores.
    """
    rows, documents, chunks, scores = (np.concatenate(column) for column in zip(*hits, strict=True))
    order = np.lexsort((rows, -scores))[:k]
    _, first = np.unique(documents[order], return_index=True)
    order = order[np.sort(first)]
    return Hits(documents[order], chunks[order], scores[order])


def rows_of_documents(part: Part[St], documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The live rows of these documents, and for each the position of its document among them."""
    order, ascending = part.stretch.by_document
    first = np.searchsorted(ascending, documents, "left")
    counts = np.searchsorted(ascending, documents, "right") - first
    places = _ranges(first, counts)
    rows = places if order is None else order[places]
    owners = np.repeat(np.arange(len(documents)), counts)
    alive = ~np.isin(rows, part.gone)
    return owners[alive], rows[alive]


def _ranges(first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """first[0], first[0]+1, …, then first[1], …: `counts[i]` numbers from each start."""
    if not counts.sum():
        return np.empty(0, np.int64)
    offsets = np.repeat(first - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    return offsets + np.arange(counts.sum())
