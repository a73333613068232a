"""An immutable folder with everything a vector search needs: a list of segments, and which rows are gone.

    manifest.json             size and checksum of the others, codec, engine, segments, the caller's meta
    rows-1.bin, rows-2.bin …  see `indexing.vectors.segment`
    gone.bin                  int64 keys of rows that were removed since; missing if there are none

A snapshot grows from the one before: segments that stay are hard links, new rows make a segment of their own,
or one together with small segments before them, see `indexing.storage.segments`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from indexing.errors import BadInput, CorruptView
from indexing.quantization import Codec
from indexing.storage.published import publish_folder, read_manifest, read_verified, verify_folder
from indexing.storage.segments import MAX_GONE, plan_growth
from indexing.vectors import engine_class
from indexing.vectors.base import check_codes
from indexing.vectors.segment import EXACT_ENGINE, Rows, VectorSegment, write_segment

GONE = "gone.bin"
_FORMAT = 2

# Segments that are scanned grow to this size: merging must not cost memory, and a scan gains nothing.
SEGMENT_BYTES = 32 << 20
# A graph does gain; below this many bytes of codes it is not worth one.
GRAPH_BYTES = 2 << 30


class VectorSnapshot:
    """Read side of a published folder. Every access raises `CorruptView` when its part is damaged.

    Attributes:
        folder: where it lies.
        codec: turns vectors into the codes of this snapshot.
        engine: name of the engine.
        meta: what the writer gave.
        segments: its rows, in the order of the log.
        gone: keys of rows that are in a segment but no longer exist, int64, ascending.
    """

    def __init__(
        self,
        folder: Path,
        body: dict[str, Any],
        manifest: dict[str, Any],
        before: VectorSnapshot | None = None,
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.codec = Codec.from_json(body["codec"])
        self.engine: str = body["engine"]
        self.meta: dict[str, Any] = body["meta"]
        self.next_name = int(body["next"])
        same = before is not None and before.codec == self.codec
        open_ones = {segment.name: segment for segment in before.segments} if before and same else {}
        self.segments: list[VectorSegment] = []
        for entry in body["segments"]:
            known = open_ones.get(str(entry["name"]))
            moved = None if known is None else known.moved_to(folder, entry, manifest)
            self.segments.append(moved or VectorSegment(folder, entry, self.codec, manifest))
        gone = read_verified(folder, GONE, manifest) if GONE in manifest["files"] else b""
        self.gone = np.frombuffer(gone, "<i8")

    @classmethod
    def open(cls, folder: str | os.PathLike[str], before: VectorSnapshot | None = None) -> VectorSnapshot:
        """Segments that are those of `before` are not loaded and checked again.

        Raises `CorruptView` when the manifest or a segment is missing, damaged or of another format.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        try:
            if manifest["meta"]["format"] != _FORMAT:
                raise CorruptView(f"{folder} has another format than this version reads; rebuild the view")
            return cls(folder, manifest["meta"], manifest, before)
        except (KeyError, TypeError, ValueError, BadInput) as error:
            raise CorruptView(f"{folder} is no vector snapshot ({error}); rebuild the view") from error

    def __len__(self) -> int:
        return sum(map(len, self.segments))

    def gone_rows(self, segment: VectorSegment, removed: np.ndarray) -> np.ndarray:
        """Rows of `segment` that are gone, by this snapshot or among the keys `removed`."""
        return np.union1d(segment.rows_of_keys(self.gone), segment.rows_of_keys(removed))

    def verify(self) -> None:
        """Compare every file with the manifest. Raises `CorruptView`."""
        verify_folder(self.folder, afresh=True)


def write(
    folder: str | os.PathLike[str],
    codec: Codec,
    rows: Rows,
    engine: str,
    meta: dict[str, Any],
    *,
    base: VectorSnapshot | None = None,
    removed: np.ndarray | None = None,
) -> None:
    """Publish `folder` in one step: what `base` holds without the keys `removed`, and `rows` after that.

    `meta` are JSON values for the reader. Raises `BadInput` for arrays that do not fit together,
    `CorruptView` when a segment of `base` that is written again or linked is damaged, `DiskFull`, and
    `StorageError` when `folder` exists.
    """
    rows = _checked(rows, codec)
    held = [] if base is None else _held(base, np.empty(0, np.int64) if removed is None else removed)
    plan = _plan(held, rows, codec, engine)
    body: dict[str, Any] = {"format": _FORMAT, "codec": codec.to_json(), "engine": engine, "meta": meta}
    name = 1 if base is None else base.next_name
    needed = sum(part.size for part in plan if isinstance(part, _Rewrite)) * (codec.code_bytes + 16)
    entries, gone = [], []
    with publish_folder(folder, body, needed) as temporary:
        for part in plan:
            if isinstance(part, _Held):
                part.segment.link_into(temporary)
                entries.append(part.segment.entry)
            else:
                entries.append(_write_again(temporary, name, codec, engine, part))
                name += 1
            gone.append(part.gone_keys)
        body["segments"], body["next"] = entries, name
        gone_keys = np.sort(np.concatenate([np.empty(0, np.int64), *gone]))
        if len(gone_keys):
            (temporary / GONE).write_bytes(gone_keys.astype("<i8").tobytes())


@dataclass(frozen=True)
class _Held:
    """A segment with those of its rows that are gone."""

    segment: VectorSegment
    gone: np.ndarray

    @property
    def live(self) -> int:
        return len(self.segment) - len(self.gone)

    @property
    def is_holey(self) -> bool:
        return len(self.gone) > MAX_GONE * len(self.segment)

    @property
    def gone_keys(self) -> np.ndarray:
        return self.segment.keys[self.gone]

    def take(self) -> Rows:
        return self.segment.take(np.delete(np.arange(len(self.segment)), self.gone))


@dataclass(frozen=True)
class _Rewrite:
    """Segments that become one, with new rows at the end. `grown`: the graph of the first is added to, and
    keeps its rows that are gone.
    """

    parts: list[_Held]
    rows: Rows
    grown: bool

    @property
    def size(self) -> int:
        return sum(len(part.segment) for part in self.parts) + len(self.rows.keys)

    @property
    def gone_keys(self) -> np.ndarray:
        return self.parts[0].gone_keys if self.grown else np.empty(0, np.int64)


def _held(base: VectorSnapshot, removed: np.ndarray) -> list[_Held]:
    return [_Held(segment, base.gone_rows(segment, removed)) for segment in base.segments]


def _plan(held: list[_Held], rows: Rows, codec: Codec, engine: str) -> list[_Held | _Rewrite]:
    """What becomes of each segment, in order, and the new rows at the end."""
    most = (SEGMENT_BYTES if engine == EXACT_ENGINE else GRAPH_BYTES) // codec.code_bytes
    stored, gone = [len(part.segment) for part in held], [len(part.gone) for part in held]
    growth = plan_growth(stored, gone, len(rows.keys), most)
    plan: list[_Held | _Rewrite] = [
        _Rewrite([part], Rows.joined([], codec), False) if at in growth.cleaned else part
        for at, part in enumerate(held[: growth.kept])
        if at not in growth.dropped
    ]
    run = held[growth.kept :]
    if len(rows.keys) or any(part.live for part in run):
        grown = bool(run) and run[0].segment.engine != EXACT_ENGINE and not run[0].is_holey
        plan.append(_Rewrite(run, rows, grown))
    return plan


def _write_again(folder: Path, name: int, codec: Codec, engine: str, part: _Rewrite) -> dict[str, Any]:
    taken = [p.segment.take() if part.grown and not i else p.take() for i, p in enumerate(part.parts)]
    rows = Rows.joined([*taken, part.rows], codec)
    if part.grown:
        index = part.parts[0].segment.load_index()
        index.add(rows.codes[len(taken[0].keys) :])
        return write_segment(folder, name, codec, rows, index.engine, index.to_bytes())
    kind = engine_class(engine)
    if len(rows.keys) <= kind.scan_rows:
        engine, kind = EXACT_ENGINE, engine_class(EXACT_ENGINE)
    return write_segment(folder, name, codec, rows, engine, kind.file_of(codec, rows.codes))


def _checked(rows: Rows, codec: Codec) -> Rows:
    keys, doc_keys = np.asarray(rows.keys, np.int64), np.asarray(rows.doc_keys, np.int64)
    if keys.shape != (len(rows.codes),) or doc_keys.shape != keys.shape:
        raise BadInput(f"{len(keys)} keys and {len(doc_keys)} document keys for {len(rows.codes)} codes")
    if len(np.unique(keys)) != len(keys):
        raise BadInput("chunk keys must be distinct")
    check_codes(codec, rows.codes)
    return Rows(keys, doc_keys, rows.codes)
