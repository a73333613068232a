"""An immutable folder with everything a search by weighted terms needs: segments, and which rows are gone.

    manifest.json             size and checksum of the others, segments, the caller's meta
    rows-1.bin, rows-2.bin …  see `indexing.inverted.segment`
    gone.bin                  int64 keys of rows that were removed since; missing if there are none

A snapshot grows from the one before: segments that stay are hard links, new rows make a segment of their own,
or one together with small segments before them, see `indexing.storage.segments`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from indexing.errors import BadInput, CorruptView
from indexing.inverted.segment import InvertedSegment, SparseRowsOf, merge_rows, write_segment
from indexing.storage.published import publish_folder, read_manifest, read_verified, verify_folder
from indexing.storage.segments import Growth, plan_growth

__all__ = ["SEGMENT_ROWS", "InvertedSnapshot", "write"]

GONE = "gone.bin"
_FORMAT = 1
# Bounds what merging takes: 16 million terms of some 20 bytes.
SEGMENT_ROWS = 1 << 18
# What a passage takes on disk, for the check of free space.
_ROW_BYTES = 400


class InvertedSnapshot:
    """Read side of a published folder. Every access raises `CorruptView` when its part is damaged.

    Attributes:
        folder: where it lies.
        meta: what the writer gave.
        segments: its rows, in the order of the log.
        gone: keys of rows that are in a segment but no longer exist, int64, ascending.
    """

    def __init__(
        self,
        folder: Path,
        body: dict[str, Any],
        manifest: dict[str, Any],
        before: InvertedSnapshot | None = None,
    ) -> None:
        self.folder = folder
        self.meta: dict[str, Any] = body["meta"]
        self.next_name = int(body["next"])
        open_ones = {segment.name: segment for segment in before.segments} if before else {}
        self.segments: list[InvertedSegment] = []
        for entry in body["segments"]:
            known = open_ones.get(str(entry["name"]))
            moved = None if known is None else known.moved_to(folder, entry, manifest)
            self.segments.append(moved or InvertedSegment(folder, entry, manifest))
        gone = read_verified(folder, GONE, manifest) if GONE in manifest["files"] else b""
        self.gone = np.frombuffer(gone, "<i8")

    @classmethod
    def open(cls, folder: str | os.PathLike[str], before: InvertedSnapshot | None = None) -> InvertedSnapshot:
        """Segments that are those of `before` are not opened and checked again.

        Raises `CorruptView` when the manifest or a segment is missing, damaged or of another format.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        try:
            if manifest["meta"]["format"] != _FORMAT:
                raise CorruptView(f"{folder} has another format than this version reads; rebuild the view")
            return cls(folder, manifest["meta"], manifest, before)
        except (KeyError, TypeError, ValueError, BadInput) as error:
            raise CorruptView(f"{folder} is no snapshot of weighted terms ({error}); rebuild it") from error

    def __len__(self) -> int:
        return sum(map(len, self.segments))

    def gone_rows(self, segment: InvertedSegment, removed: np.ndarray) -> np.ndarray:
        """Rows of `segment` that are gone, by this snapshot or among the keys `removed`."""
        return np.union1d(segment.rows_of_keys(self.gone), segment.rows_of_keys(removed))

    def verify(self) -> None:
        """Compare every file with the manifest. Raises `CorruptView`."""
        verify_folder(self.folder, afresh=True)


def write(
    folder: str | os.PathLike[str],
    rows: SparseRowsOf,
    meta: dict[str, Any],
    *,
    base: InvertedSnapshot | None = None,
    removed: np.ndarray,
) -> None:
    """Publish `folder` in one step: what `base` holds without the keys `removed`, and `rows` after that.

    `meta` are JSON values for the reader. Raises `CorruptView` when a segment of `base` that is written
    again is damaged, `DiskFull`, and `StorageError` when `folder` exists.
    """
    held = [] if base is None else [(one, base.gone_rows(one, removed)) for one in base.segments]
    growth = _plan(held, rows)
    body: dict[str, Any] = {"format": _FORMAT, "meta": meta}
    name = 1 if base is None else base.next_name
    entries: list[dict[str, Any]] = []
    gone = [np.empty(0, np.int64)]
    merged = [(one, lost) for one, lost in held[growth.kept :] if len(lost) < len(one)]
    needed = sum(len(one) for one, _ in merged) + len(rows.keys)
    with publish_folder(folder, body, needed * _ROW_BYTES) as temporary:
        for at, (segment, lost) in enumerate(held[: growth.kept]):
            if at in growth.cleaned:
                entries.append(write_segment(temporary, name, merge_rows([(segment.take(), lost)])))
                name += 1
            elif at not in growth.dropped:
                segment.link_into(temporary)
                entries.append(segment.entry)
                gone.append(segment.keys[lost])
        if merged or len(rows.keys):
            none = np.empty(0, np.int64)
            parts = [*((one.take(), lost) for one, lost in merged), (rows, none)]
            entries.append(write_segment(temporary, name, merge_rows(parts)))
            name += 1
        body["segments"], body["next"] = entries, name
        if len(keys := np.sort(np.concatenate(gone))):
            (temporary / GONE).write_bytes(keys.astype("<i8").tobytes())


def _plan(held: list[tuple[InvertedSegment, np.ndarray]], rows: SparseRowsOf) -> Growth:
    stored, gone = [len(one) for one, _ in held], [len(lost) for _, lost in held]
    return plan_growth(stored, gone, len(rows.keys), SEGMENT_ROWS)
