"""An immutable folder with the metadata of all documents by column: a list of segments, see `segment`.

manifest.json                      size and checksum of the others, segments, the caller's meta
columns-1.bin, columns-2.bin …     see `indexing.columns.segment`
gone.bin                           int64 keys of documents that changed or were deleted since, if any did
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from indexing.columns.build import Columns
from indexing.columns.segment import ColumnSegment, write_segment
from indexing.errors import CorruptView, ForeignView
from indexing.search.filter_tree import Node
from indexing.storage.published import publish_folder, read_manifest, read_verified, verify_folder
from indexing.storage.segments import plan_growth
from stlib.util.forks import cached_property

__all__ = ["SEGMENT_DOCUMENTS", "ColumnSnapshot", "write"]

GONE = "gone.bin"
_FORMAT = 2  # texts in the order of their normal forms

# What is merged at once, and built in memory: some hundred bytes for each value of a document.
SEGMENT_DOCUMENTS = 131_072


class ColumnSnapshot:
    """Read side of a published folder. Every access raises `CorruptView` when its part is damaged.

    Attributes:
        segments: their documents are distinct, but for those that are gone.
        meta: what the writer gave.
    """

    def __init__(
        self,
        folder: Path,
        body: dict[str, Any],
        manifest: dict[str, Any],
        before: ColumnSnapshot | None = None,
    ) -> None:
        self.folder = folder
        self.meta: dict[str, Any] = body["meta"]
        self.next_name = int(body["next"])
        open_ones = {segment.name: segment for segment in before.segments} if before else {}
        self.segments: list[ColumnSegment] = []
        for entry in body["segments"]:
            known = open_ones.get(entry["name"])
            moved = None if known is None else known.moved_to(folder, entry, manifest)
            self.segments.append(moved or ColumnSegment(folder, entry, manifest))
        gone = read_verified(folder, GONE, manifest) if GONE in manifest["files"] else b""
        self.gone = np.frombuffer(gone, "<i8").reshape(-1, 2)
        """Rows (segment's name, key): a document may be gone from one segment and live in a later one."""

    @classmethod
    def open(cls, folder: str | os.PathLike[str], before: ColumnSnapshot | None = None) -> ColumnSnapshot:
        """Segments that are those of `before` are not read and checked again.

        Raises `CorruptView` when the manifest or a segment is missing, damaged or of another format.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        try:
            if manifest["meta"]["format"] != _FORMAT:
                raise ForeignView(f"{folder} has another format than this version reads; rebuild the view")
            return cls(folder, manifest["meta"], manifest, before)
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptView(f"{folder} is no snapshot of columns ({error}); rebuild the view") from error

    def __len__(self) -> int:
        return sum(len(segment) for segment in self.segments) - sum(map(len, self.gone_rows))

    @cached_property
    def gone_rows(self) -> list[np.ndarray]:
        """Rows of each segment that are gone."""
        return [segment.rows_of_keys(self._gone_keys(segment)) for segment in self.segments]

    def count_without(self, changed: np.ndarray) -> int:
        """How many documents there are but those of `changed` (keys)."""
        dead = [
            len(np.union1d(gone, segment.rows_of_keys(changed)))
            for segment, gone in zip(self.segments, self.gone_rows, strict=True)
        ]
        return sum(map(len, self.segments)) - sum(dead)

    def _gone_keys(self, segment: ColumnSegment) -> np.ndarray:
        return self.gone[self.gone[:, 0] == segment.name, 1]

    @cached_property
    def largest_key(self) -> int:
        return max((int(segment.keys.max()) for segment in self.segments if len(segment)), default=-1)

    def ensure_whole(self) -> None:
        """Raises `CorruptView` if a mapped file was shortened."""
        for segment in self.segments:
            segment.ensure_whole()

    def table(self, node: Node) -> np.ndarray:
        """A boolean table over document keys: those that fulfil a filter.

        Raises:
            NotCovered: the columns cannot tell.
        """
        self.ensure_whole()
        table = np.zeros(self.largest_key + 1, dtype=bool)
        for segment, gone in zip(self.segments, self.gone_rows, strict=True):
            found = segment.where(node)
            found[gone] = False
            table[segment.keys[found]] = True
        return table

    def kinds(self, field: str, changed: np.ndarray) -> set[str]:
        """The kinds of values in `field` of documents but those `changed` (keys).

        Raises:
            NotCovered: it has no column.
        """
        self.ensure_whole()
        found: set[str] = set()
        for at, segment in enumerate(self.segments):
            column = segment.column(field)
            if column is not None:
                found |= column.kinds(self.alive(at, changed))
        return found

    def alive(self, at: int, changed: np.ndarray) -> np.ndarray | None:
        """bool [n] of a segment's documents: not gone and not among the keys `changed`; None: all."""
        segment = self.segments[at]
        dead = np.union1d(self.gone_rows[at], segment.rows_of_keys(changed))
        if not len(dead):
            return None
        alive = np.ones(len(segment), dtype=bool)
        alive[dead] = False
        return alive

    def verify(self) -> None:
        """Compare every file with the manifest. Raises `CorruptView`."""
        verify_folder(self.folder, afresh=True)


def write(
    folder: str | os.PathLike[str],
    columns: Columns,
    meta: dict[str, Any],
    *,
    base: ColumnSnapshot | None = None,
    changed: np.ndarray | None = None,
) -> None:
    """Publish `folder` in one step: what `base` holds without the documents `changed` (keys int64), and
    `columns` after it.

    Raises `CorruptView` when a segment of `base` that is written again is damaged, `DiskFull`, and
    `StorageError` when `folder` exists.
    """
    segments = [] if base is None else base.segments
    changed = np.empty(0, np.int64) if changed is None else changed
    gone = [
        np.union1d(rows, segment.rows_of_keys(changed))
        for segment, rows in zip(segments, [] if base is None else base.gone_rows, strict=True)
    ]
    growth = plan_growth(list(map(len, segments)), list(map(len, gone)), len(columns), SEGMENT_DOCUMENTS)
    name = 1 if base is None else base.next_name
    body: dict[str, Any] = {"format": _FORMAT, "meta": meta, "segments": []}
    left: list[np.ndarray] = [np.empty((0, 2), np.int64)]
    with publish_folder(folder, body) as temporary:
        for at in range(growth.kept):
            if at in growth.cleaned:
                body["segments"].append(write_segment(temporary, name, _merge([(segments[at], gone[at])])))
                name += 1
            elif at not in growth.dropped:
                segments[at].link_into(temporary)
                body["segments"].append(segments[at].entry)
                keys = segments[at].keys[gone[at]]
                left.append(np.column_stack([np.full(len(keys), segments[at].name), keys]))
        merged = list(zip(segments, gone, strict=True))[growth.kept :]
        if any(len(segment) > len(rows) for segment, rows in merged):
            columns = _merge(merged, columns)
        if len(columns):
            body["segments"].append(write_segment(temporary, name, columns))
            name += 1
        body["next"] = name
        gone_keys = np.concatenate(left)
        if len(gone_keys):
            (temporary / GONE).write_bytes(gone_keys.astype("<i8").tobytes())


def _merge(parts: list[tuple[ColumnSegment, np.ndarray]], last: Columns | None = None) -> Columns:
    """What lives in these segments, without the rows that are gone, and `last` behind."""
    merged = Columns()
    for segment, gone in parts:
        segment.add_to(merged, np.delete(np.arange(len(segment)), gone))
    if last is not None:
        merged.extend(np.asarray(last.keys, np.int64), last.stored(), last.complete)
    return merged
