"""An immutable folder with everything a vector search needs: keys, codes and the engine's file.

    manifest.json   size and checksum of the other two, codec, engine, the caller's meta
    rows.bin        block file: `keys` and `doc_keys` int64 [n], `codes` [n, code_width]
    engine.bin      the engine's own format

Row i of the index is chunk `keys[i]` of document `doc_keys[i]`. Opening reads the manifest and the header
of rows.bin; the engine file is compared with its checksum whole when it is first needed.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from indexing.errors import BadInput, CorruptView
from indexing.quantization import Codec
from indexing.storage.blockfile import BlockArray, write_block_file
from indexing.storage.published import (
    open_block_file,
    publish_folder,
    read_manifest,
    read_verified,
    verify_folder,
)
from indexing.vectors import VectorIndex, engine_class

ROWS = "rows.bin"
ENGINE = "engine.bin"
_FORMAT = 1


class VectorSnapshot:
    """Read side of a published folder. Every access raises `CorruptView` when its part is damaged.

    Attributes:
        folder: where it lies.
        codec: turns vectors into the codes of this snapshot.
        engine: name of the engine.
        meta: what the writer gave.
        keys: chunk keys, int64 [n], ascending.
        doc_keys: document key of each chunk, int64 [n].
        codes: stored codes [n, code_width], memory-mapped and checked block by block.
        ensure_whole: raises `CorruptView` if the mapped file was shortened; call it before reading `keys` or
            `doc_keys`, which are mapped as well.
        check_rows_again: raises `CorruptView` if any of them is not what was written, checked before or not.
    """

    def __init__(self, folder: Path, body: dict[str, Any], manifest: dict[str, Any]) -> None:
        self.folder = folder
        self._manifest = manifest
        self.codec = Codec.from_json(body["codec"])
        self.engine: str = body["engine"]
        self.meta: dict[str, Any] = body["meta"]
        rows = open_block_file(folder, ROWS, manifest)
        self.keys = np.asarray(rows["keys"])
        self.doc_keys = np.asarray(rows["doc_keys"])
        self.codes: BlockArray = rows["codes"]
        self.ensure_whole = rows.ensure_whole
        self.check_rows_again = rows.check_again
        if not len(self.keys) == len(self.doc_keys) == len(self.codes) == body["rows"]:
            raise CorruptView(
                f"{folder / ROWS} has another number of rows than the manifest; rebuild the view"
            )

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> VectorSnapshot:
        """Raises `CorruptView` when the manifest or rows.bin is missing, damaged or of another format."""
        folder = Path(folder)
        manifest = read_manifest(folder)
        try:
            if manifest["meta"]["format"] != _FORMAT:
                raise CorruptView(f"{folder} has another format than this version reads; rebuild the view")
            return cls(folder, manifest["meta"], manifest)
        except (KeyError, TypeError, BadInput) as error:
            raise CorruptView(f"{folder} is no vector snapshot ({error}); rebuild the view") from error

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def index(self) -> VectorIndex:
        """The engine's index over `codes`, loaded on first use."""
        data = read_verified(self.folder, ENGINE, self._manifest)
        return engine_class(self.engine).from_bytes(data, self.codec, self.codes)

    def verify(self) -> None:
        """Compare every file with the manifest. Raises `CorruptView`."""
        verify_folder(self.folder, afresh=True)


def write(
    folder: str | os.PathLike[str],
    codec: Codec,
    keys: np.ndarray,
    doc_keys: np.ndarray,
    codes: np.ndarray | BlockArray,
    engine: str,
    meta: dict[str, Any],
) -> None:
    """Build the index and publish `folder` in one step.

    `keys` are chunk keys int64 [n], ascending; `doc_keys` int64 [n]; `codes` [n, code_width] as `codec`
    made them. `meta` are JSON values for the reader. Raises `BadInput` for arrays that do not fit
    together, `DiskFull`, and `StorageError` when `folder` exists.
    """
    keys, doc_keys = np.asarray(keys, np.int64), np.asarray(doc_keys, np.int64)
    if keys.shape != (len(codes),) or doc_keys.shape != keys.shape:
        raise BadInput(f"{len(keys)} keys and {len(doc_keys)} document keys for {len(codes)} codes")
    if (np.diff(keys) <= 0).any():
        raise BadInput("chunk keys must ascend and be distinct")
    codes = np.asarray(codes)
    index = engine_class(engine).build(codec, codes)
    data = index.to_bytes()
    body = {"format": _FORMAT, "codec": codec.to_json(), "engine": engine, "rows": len(keys), "meta": meta}
    needed = len(data) + codes.nbytes + keys.nbytes + doc_keys.nbytes
    with publish_folder(folder, body, needed) as temporary:
        write_block_file(temporary / ROWS, {"keys": keys, "doc_keys": doc_keys, "codes": codes})
        (temporary / ENGINE).write_bytes(data)
