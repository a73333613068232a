"""What bulk loads are made of: shards, which are handed out, and pieces of them, which are committed.

A shard is a part of a source that one process reads: some files, lines of a file, rows of one. It is read as
pieces, numbered from 0. The same source under the same plan gives the same pieces, so shard and number are
the key by which a piece is stored once. All of it goes between processes as plain rows: nothing is pickled.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Protocol

from indexing.catalog.sources import FileState
from indexing.documents import Document, Skipped
from indexing.documents.marks import marks_from_json, marks_to_json
from indexing.embed import Embedded
from indexing.errors import BadInput

if TYPE_CHECKING:  # processes that only read need none of these
    from indexing.models.held import Encoders
    from indexing.sources.report import SyncReport
    from indexing.views.manager import Views
    from indexing.writing.report import Progress

__all__ = [
    "KINDS",
    "BulkSource",
    "Done",
    "EmbeddedPiece",
    "FileDone",
    "OtherPieces",
    "Piece",
    "ShardPlan",
    "files_from_json",
    "files_to_json",
]

KINDS = ("files", "lines", "rows")
"""Of shards: whole files, a range of a file with a record in each line, groups of rows of a table."""


@dataclass(frozen=True)
class ShardPlan:
    """A part of a source: `spec` says which, and how to see that it is the same still (JSON values only).

    `number` is its place in the plan, from 0.
    """

    number: int
    kind: str
    spec: dict[str, Any]


@dataclass(frozen=True)
class Done:
    """Pieces of a shard that are stored: the first `stored` ones, and those numbers beyond them. `digest` is
    that of the last of the first ones; empty if there is none.
    """

    stored: int = 0
    beyond: frozenset[int] = frozenset()
    digest: str = ""

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and (number < self.stored or number in self.beyond)


class OtherPieces(BadInput):
    """A shard is not read as it was when its first pieces were stored: numbers mean other documents now."""


@dataclass(frozen=True)
class FileDone:
    """A file of a folder that was read to its end: its row in the catalog, its name below the root, and how
    it was when it was read. The row is written when all pieces up to this one are stored.
    """

    file_id: int
    name: str
    state: FileState


@dataclass(frozen=True)
class Piece:
    """What is committed at once: the next documents of a shard, and what could not be read among them.

    `shard` is the shard's number in its load. `last` ends the shard: each has one last piece, which may hold
    no document. `files` were read to their end in this piece. `notes` say what a person should know of how
    files were read, but lost nothing by. `digest` is of the ids of all that was read of the shard up to here,
    `before` that of the piece before: a source that is not read in the same way again, by another version of
    a reader or one that was ended in the middle, is known by them.
    """

    shard: int
    number: int
    documents: tuple[Document, ...]
    skipped: tuple[Skipped, ...] = ()
    files: tuple[FileDone, ...] = ()
    last: bool = False
    notes: tuple[str, ...] = ()
    before: str = ""
    digest: str = ""

    @classmethod
    def of(
        cls,
        shard: int,
        number: int,
        items: Iterable[Document | Skipped | Mapping[str, Any]],
        files: Iterable[FileDone] = (),
        *,
        last: bool = False,
        notes: Iterable[str] = (),
    ) -> Piece:
        """A piece of what a reader gave. A document that cannot be used is skipped, with the reason."""
        documents: list[Document] = []
        skipped: list[Skipped] = []
        for item in items:
            if isinstance(item, Skipped):
                skipped.append(item)
                continue
            try:
                documents.append(Document.from_any(item))
            except BadInput as error:
                skipped.append(Skipped(f"shard {shard}, piece {number}", None, str(error)))
        return cls(shard, number, tuple(documents), tuple(skipped), tuple(files), last, tuple(notes))

    def to_row(self) -> dict[str, Any]:
        """Numbers, and `data` in bytes: the same columns for every piece, whatever is in it."""
        content = {
            "documents": [_document_to_json(document) for document in self.documents],
            "skipped": [[one.source, one.line, one.reason] for one in self.skipped],
            "files": files_to_json(self.files),
            "notes": self.notes,
        }
        return {
            "shard": self.shard,
            "number": self.number,
            "last": self.last,
            "before": self.before,
            "digest": self.digest,
            "documents": len(self.documents),
            "data": _dump(content),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Piece:
        """The piece that `to_row` wrote."""
        content = json.loads(bytes(row["data"]).decode("utf-8", "surrogatepass"))
        return cls(
            int(row["shard"]),
            int(row["number"]),
            tuple(_document_from_json(one) for one in content["documents"]),
            tuple(Skipped(*one) for one in content["skipped"]),
            files_from_json(content["files"]),
            bool(row["last"]),
            tuple(content["notes"]),
            str(row["before"]),
            str(row["digest"]),
        )


@dataclass(frozen=True)
class EmbeddedPiece:
    """Passages and codes of those documents of a piece that are new or changed.

    Attributes:
        generation: the number of the generation that the codes are of.
        places: of the documents in the piece, from 0; `made` has one entry for each.
    """

    generation: int
    places: tuple[int, ...] = ()
    made: Embedded = field(default_factory=lambda: Embedded([], [], 0))

    def to_row(self) -> dict[str, Any]:
        """Numbers, and `data` and `codes` in bytes: the same columns for every piece."""
        tables = {"": self.made.codes, **self.made.beside}
        flat = {role: [code for part in codes for code in part] for role, codes in tables.items()}
        content = {
            "places": self.places,
            "spans": self.made.spans,
            "clipped": self.made.clipped,
            "lengths": {role: [len(code) for code in codes] for role, codes in flat.items()},
        }
        codes = b"".join(code for role in flat for code in flat[role])
        return {"generation": self.generation, "data": _dump(content), "codes": codes}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> EmbeddedPiece:
        """What `to_row` wrote."""
        content = json.loads(bytes(row["data"]))
        spans = [[(start, end) for start, end in part] for part in content["spans"]]
        data, at = bytes(row["codes"]), 0
        tables = {}
        for role, lengths in content["lengths"].items():
            ends = [at, *(at + end for end in accumulate(lengths))]
            codes = iter([data[start:end] for start, end in pairwise(ends)])
            tables[role] = [[next(codes) for _ in part] for part in spans]
            at = ends[-1]
        codes_of_vectors = tables.pop("")
        made = Embedded(spans, codes_of_vectors, content["clipped"], tables)
        return cls(int(row["generation"]), tuple(content["places"]), made)


class BulkSource(Protocol):
    """What a load is of."""

    @property
    def identity(self) -> dict[str, Any]:
        """Addresses and options as JSON values. A load goes on with the plan of one of the same identity."""

    def plan(self, piece_documents: int) -> Iterator[ShardPlan]:
        """Cuts the source into shards, numbered from 0, one after the other."""

    def check(self, shards: Iterable[ShardPlan]) -> None:
        """Raises `BadInput`, which names what changed since `shards` were planned."""

    def read(self, shard: ShardPlan, done: Done) -> Iterator[Piece]:
        """The pieces of a shard that are not `done`, in order; of others none is made.

        Raises:
            OtherPieces: what is `done` is not what is read now; nothing that follows was given.
            BadInput, OSError: it cannot be read; other shards can.
        """

    def finish(self, shards: Iterable[ShardPlan], bad: Collection[int], denied: Collection[int]) -> None:
        """Called when everything is stored but for the `bad` shards, of which something is missing for
        whatever reason, in the process that planned them;
        `denied` are numbers of files of which documents were erased before and stayed out.
        """

    def sync_rest(
        self, views: Views, encoders: Encoders, progress: Progress | None = None
    ) -> SyncReport | None:
        """Called after a load that is finished: brings in what was not loaded, as files that changed."""


def files_to_json(files: Sequence[FileDone]) -> list[Any]:
    """Files as JSON values."""
    return [_file_to_json(one) for one in files]


def files_from_json(raw: Iterable[Any]) -> tuple[FileDone, ...]:
    """What `files_to_json` made."""
    return tuple(
        FileDone(file_id, name, FileState(**{**state, "digest": bytes.fromhex(state["digest"])}))
        for file_id, name, state in raw
    )


def _file_to_json(file: FileDone) -> list[Any]:
    return [file.file_id, file.name, {**asdict(file.state), "digest": file.state.digest.hex()}]


def _document_to_json(document: Document) -> list[Any]:
    return [
        document.id,
        document.text,
        document.title,
        document.metadata,
        document.origin,
        marks_to_json(document.marks),
        document.file_id,
    ]


def _document_from_json(raw: Sequence[Any]) -> Document:
    id_, text, title, metadata, origin, marks, file_id = raw
    return Document(id_, text, title, metadata, origin, marks_from_json(marks), file_id)


def _dump(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
