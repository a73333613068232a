"""Documents with their passages and vectors as Parquet, which pandas, polars and pyarrow read.

One row is one document, in the order of ids:

    id         string
    title      string
    text       string
    metadata   string            a JSON object
    passages   list of struct    those that the document is searched by; only where vectors were asked for
        start  int32             characters of `text`, from `start` up to but not with `end`
        end    int32
        vector fixed_size_list   of float32, as many as the model has dimensions

The file's key `stlib` is a JSON object: `format`, `version`, `collection`, and of the vectors `model`,
`fingerprint` (empty where somebody brought them), `dimension`, `precision`, `codec` (by which they were
stored: their values are the centres of its buckets) and `chunking`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from indexing.catalog.stored import StoredDocument
from indexing.documents import ChunkSettings, Document, Skipped
from indexing.errors import BadInput
from indexing.names import PRECISIONS
from indexing.quantization import Codec
from indexing.storage.files import disk_errors, fsync_folder, temporary_beside

__all__ = ["Brought", "FileSettings", "ParquetDocuments", "write_parquet"]

FORMAT, VERSION = "stlib documents", 1
KEY = b"stlib"

_ROWS = 500  # documents of a row group: their texts may be whole books
_NORMS = (0.5, 2.0)  # of vectors that stand for ones of length 1, as they were stored
_MOST_DIMENSIONS = 65_536


@dataclass(frozen=True)
class FileSettings:
    """How the vectors of a file were made. `codec` is None where there are none."""

    model: str
    fingerprint: str
    dimension: int
    precision: str
    codec: str | None
    chunking: dict[str, Any]


@dataclass(frozen=True)
class Brought:
    """A document of a file; spans and vectors [n, d] of its passages, None where the file has none."""

    document: Document
    spans: list[tuple[int, int]] | None = None
    vectors: np.ndarray | None = None


def write_parquet(
    path: Path, collection: str, documents: Iterable[StoredDocument], settings: FileSettings | None
) -> int:
    """Writes documents to the new file `path`, which appears when it is whole; with `settings` also their
    passages. Returns how many there were.

    Raises:
        BadInput: the file exists, or pyarrow is missing.
        DiskFull, StorageError: it could not be written; nothing is left of it.
    """
    pyarrow, parquet = _pyarrow()
    path = path.absolute()
    if os.path.lexists(path):
        raise BadInput(f"{path} exists: give the name of a new file")
    schema = _schema(pyarrow, collection, settings)
    temporary = temporary_beside(path)
    written = 0
    documents = iter(documents)
    try:
        with disk_errors(path), temporary.open("xb") as file:
            # Few values differ in vectors that were stored as bytes: a dictionary halves them.
            with parquet.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer:
                while batch := list(islice(documents, _ROWS)):
                    writer.write_table(_table(pyarrow, schema, batch))
                    written += len(batch)
            file.flush()
            os.fsync(file.fileno())
        with disk_errors(path):
            temporary.rename(path)
            fsync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return written


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise BadInput("Parquet needs pyarrow: pip install pyarrow") from None
    return pyarrow, parquet


def _schema(pyarrow: Any, collection: str, settings: FileSettings | None) -> Any:
    columns = [(name, pyarrow.string()) for name in ("id", "title", "text", "metadata")]
    about: dict[str, Any] = {"format": FORMAT, "version": VERSION, "collection": collection}
    if settings is not None:
        vector = pyarrow.list_(pyarrow.float32(), settings.dimension)
        passage = [("start", pyarrow.int32()), ("end", pyarrow.int32()), ("vector", vector)]
        columns.append(("passages", pyarrow.list_(pyarrow.struct(passage))))
        about |= asdict(settings)
    return pyarrow.schema(columns, metadata={KEY: json.dumps(about).encode()})


def _table(pyarrow: Any, schema: Any, documents: Sequence[StoredDocument]) -> Any:
    columns: dict[str, Any] = {
        "id": [one.id for one in documents],
        "title": [one.title for one in documents],
        "text": [one.text for one in documents],
        "metadata": [json.dumps(one.metadata, ensure_ascii=False, sort_keys=True) for one in documents],
    }
    if "passages" in schema.names:
        columns["passages"] = _passages(pyarrow, schema.field("passages").type, documents)
    return pyarrow.table(columns, schema=schema)


def _passages(pyarrow: Any, kind: Any, documents: Sequence[StoredDocument]) -> Any:
    passages = [passage for one in documents for passage in one.passages or ()]
    dimension = kind.value_type.field("vector").type.list_size
    vectors = np.empty((len(passages), dimension), np.float32)
    for row, passage in zip(vectors, passages, strict=True):
        row[:] = passage.vector
    parts = [
        pyarrow.array([passage.start for passage in passages], pyarrow.int32()),
        pyarrow.array([passage.end for passage in passages], pyarrow.int32()),
        pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(vectors.reshape(-1)), dimension),
    ]
    structs = pyarrow.StructArray.from_arrays(parts, fields=list(kind.value_type))
    counts = [len(one.passages or ()) for one in documents]
    offsets = pyarrow.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    return pyarrow.ListArray.from_arrays(offsets, structs, type=kind)


class ParquetDocuments:
    """A file that `write_parquet` wrote, or one with the same columns.

    Attributes:
        settings: of its vectors; None where it has none.
        count: of its documents.
    """

    def __init__(self, path: Path) -> None:
        """
        Raises:
            BadInput: it is missing, no Parquet file, of a newer release, or lacks columns.
        """
        self.path = path
        pyarrow, parquet = _pyarrow()
        self._errors = (pyarrow.ArrowException, OSError, ValueError, TypeError, KeyError)
        try:
            self._file = parquet.ParquetFile(path, page_checksum_verification=True)
            schema = self._file.schema_arrow
        except self._errors as error:
            raise BadInput(f"{path} cannot be read as a Parquet file: {_line(error)}") from error
        try:
            self.count = int(self._file.metadata.num_rows)
            if missing := {"id", "text"} - set(schema.names):
                raise BadInput(
                    f"{path} has no column {', '.join(sorted(missing))}: see `stlib export --help`"
                )
            self.settings = _settings(path, schema, pyarrow)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> ParquetDocuments:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Brought | Skipped]:
        """Documents in the order of the file; one that cannot be used is `Skipped`, with its row from 1.

        Raises:
            BadInput: the file is damaged.
        """
        wanted = {"id", "title", "text", "metadata"} | ({"passages"} if self.settings else set())
        names = [name for name in self._file.schema_arrow.names if name in wanted]
        first = 0
        try:
            for batch in self._file.iter_batches(batch_size=_ROWS, columns=names):
                yield from self._documents(batch, first)
                first += batch.num_rows
        except self._errors as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(f"{self.path} is damaged behind row {first}: {_line(error)}") from error

    def _documents(self, batch: Any, first: int) -> Iterator[Brought | Skipped]:
        columns = {name: batch.column(name) for name in batch.schema.names}
        passages = self._split(columns.pop("passages"), first) if self.settings else None
        values = {name: column.to_pylist() for name, column in columns.items()}
        for at in range(batch.num_rows):
            try:
                fields_ = {name: column[at] for name, column in values.items() if column[at] is not None}
                document = Document.from_any({**fields_, "metadata": _metadata(fields_.get("metadata"))})
                if passages is None:
                    yield Brought(document)
                else:
                    spans, vectors = passages[at]
                    _check_spans(spans, len(document.text))
                    yield Brought(document, spans, vectors)
            except BadInput as error:
                yield Skipped(str(self.path), first + at + 1, str(error))

    def _split(self, column: Any, first: int) -> list[tuple[list[tuple[int, int]], np.ndarray]]:
        """Spans and vectors of each document of a batch."""
        assert self.settings is not None
        values = column.flatten()
        starts, ends = (values.field(name).to_numpy(zero_copy_only=False) for name in ("start", "end"))
        vectors = values.field("vector").flatten().to_numpy(zero_copy_only=False)
        vectors = vectors.astype(np.float32, copy=False).reshape(-1, self.settings.dimension)
        norms = np.linalg.norm(vectors.astype(np.float64), axis=1)  # of any values that a file may hold
        if len(vectors) != len(starts) or not ((norms >= _NORMS[0]) & (norms <= _NORMS[1])).all():
            raise BadInput(
                f"{self.path}: a vector behind row {first} is missing, not finite or far from length 1"
            )
        spans = list(zip(starts.tolist(), ends.tolist(), strict=True))
        counts = [0 if one is None else one for one in column.value_lengths().to_pylist()]
        borders = np.concatenate([[0], np.cumsum(counts)]).astype(int).tolist()
        return [(spans[a:b], vectors[a:b]) for a, b in pairwise(borders)]


def _settings(path: Path, schema: Any, pyarrow: Any) -> FileSettings | None:
    """What the file says of its vectors, and whether that can be."""
    if "passages" not in schema.names:
        return None
    try:
        about = json.loads((schema.metadata or {}).get(KEY, b"null"))
    except (ValueError, RecursionError):
        about = None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise BadInput(f"{path} has passages and does not say of which model: leave that column out")
    if about.get("version") != VERSION:
        raise BadInput(f"{path} has version {about.get('version')!r}, and this release reads {VERSION}")
    try:
        settings = FileSettings(**{one.name: about[one.name] for one in fields(FileSettings)})
        ChunkSettings(**settings.chunking)
        texts = (settings.model, settings.fingerprint, settings.precision)
        sound = all(isinstance(one, str) for one in texts) and settings.precision in PRECISIONS
        sound = sound and type(settings.dimension) is int and 0 < settings.dimension <= _MOST_DIMENSIONS
        if settings.codec is not None:
            codec = Codec.from_json(settings.codec)
            sound = sound and (codec.precision, codec.dimension) == (settings.precision, settings.dimension)
        kind = schema.field("passages").type.value_type
        vector = kind.field("vector").type
        sound = sound and vector == pyarrow.list_(pyarrow.float32(), settings.dimension)
        sound = sound and {kind.field("start").type, kind.field("end").type} == {pyarrow.int32()}
    except (KeyError, TypeError, ValueError, AttributeError, BadInput) as error:
        raise BadInput(f"{path} says of its vectors what cannot be: {_line(error)}") from error
    if not sound:
        raise BadInput(f"{path} says of its vectors what cannot be, or what they are not")
    return settings


def _metadata(text: Any) -> Mapping[str, Any]:
    if text is None:
        return {}
    try:
        found = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError) as error:
        raise BadInput(f"its metadata is no JSON object ({error})") from error
    if not isinstance(found, dict):
        raise BadInput("its metadata is no JSON object")
    return found


def _check_spans(spans: Sequence[tuple[int, int]], length: int) -> None:
    if not spans or not all(
        type(start) is type(end) is int and 0 <= start < end <= max(1, length) for start, end in spans
    ):
        raise BadInput("it has no passages, or one beyond its text")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
