"""A source of given documents, and all that a load leaves in a catalog, to compare it with a plain run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import text

from indexing import Collection
from indexing.bulk.here import load_here
from indexing.bulk.pieces import Done, FileDone, Piece, ShardPlan
from indexing.catalog.database import reading
from indexing.documents import Document, Skipped
from indexing.errors import BadInput

TOPICS = (
    "whales breathe air",
    "iron rusts in wet air",
    "dough rises with yeast",
    "bees dance",
    "ice is slow",
)


def documents(count: int, word: str = "number") -> list[Document]:
    """Documents of one or two passages."""
    return [
        Document(
            f"d{i:04}",
            f"{TOPICS[i % 5]}. This is {word} {i}. " + "It goes on and on about it. " * (i % 11 == 3) * 36,
            title=f"Note {i}" * (i % 2),
            metadata={"topic": i % 5, "tags": ["a", f"t{i % 3}"]},
        )
        for i in range(count)
    ]


class Given:
    """Shards of `per_shard` documents. `broken` says of numbers of shards after how many pieces reading them
    fails; `changed` what is found to be changed. `files` are read to their end with a shard, by its number.
    """

    def __init__(self, items: list[Document | Skipped], per_shard: int = 20, name: str = "given") -> None:
        self.items = items
        self.per_shard = per_shard
        self.identity: dict[str, Any] = {"name": name, "options": ["a", None]}
        self.broken: dict[int, int] = {}
        self.changed: str | None = None
        self.files: dict[int, FileDone] = {}
        self.calls: list[Any] = []
        self.read_pieces: list[tuple[int, int]] = []

    def plan(self, piece_documents: int) -> Iterator[ShardPlan]:
        self.calls.append("plan")
        for number, first in enumerate(range(0, max(1, len(self.items)), self.per_shard)):
            yield ShardPlan(number, "rows", {"first": first, "size": piece_documents})

    def check(self, shards: Any) -> None:
        self.calls.append(("check", [shard.number for shard in shards]))
        if self.changed:
            raise BadInput(f"{self.changed} was changed since the load was planned: start with --restart")

    def read(self, shard: ShardPlan, done: Done) -> Iterator[Piece]:
        for piece in self.pieces_of(shard):
            if self.broken.get(shard.number) == piece.number:
                raise BadInput(f"part {shard.number} is torn")
            if piece.number not in done:
                self.read_pieces.append((piece.shard, piece.number))
                yield piece

    def pieces_of(self, shard: ShardPlan) -> list[Piece]:
        first, size = shard.spec["first"], shard.spec["size"]
        items = self.items[first : first + self.per_shard]
        parts = [items[at : at + size] for at in range(0, len(items), size)] or [[]]
        return [
            Piece.of(
                shard.number,
                number,
                part,
                [self.files[shard.number]] if number == len(parts) - 1 and shard.number in self.files else [],
                last=number == len(parts) - 1,
            )
            for number, part in enumerate(parts)
        ]

    def finish(self, shards: Any, bad: set[int], denied: Any) -> None:
        self.calls.append(("finish", [shard.number for shard in shards], bad, sorted(denied)))

    def sync_rest(self, views: Any, encoders: Any, progress: Any = None) -> None:
        self.calls.append("sync_rest")


def load(collection: Collection, source: Any, **settings: Any) -> Any:
    """Brings a source into a collection by this process."""
    settings.setdefault("piece_documents", 6)
    return load_here(collection._session, collection._views, collection._encoders, source, **settings)


def say_always(monkeypatch: Any) -> None:
    """Progress is told after every piece."""
    monkeypatch.setattr("indexing.bulk.driver._SAID_EVERY", 0.0)
    monkeypatch.setattr("indexing.bulk.driver._SHARE_SAID", float("inf"))


def facts(collection: Collection) -> dict[str, Any]:
    """Documents with all that is kept of them, and their passages with their codes, without keys and seqs."""
    with reading(collection._session.database) as connection:
        documents = {
            row[0]: tuple(row[1:])
            for row in connection.execute(
                text(
                    "SELECT d.id, d.deleted, d.title, d.text, d.metadata, d.origin, d.marks, f.name, d.hash,"
                    " d.metadata_hash FROM document d LEFT JOIN file f ON f.id = d.file_id"
                )
            )
        }
        passages: dict[str, list[Any]] = {}
        for row in connection.execute(
            text(
                'SELECT d.id, c.generation_id, c.start, c."end", k.code, s.code, t.code FROM document d'
                " JOIN chunk c ON c.document_key = d.key LEFT JOIN code k ON k.key = c.key"
                " LEFT JOIN sparse_code s ON s.key = c.key LEFT JOIN token_code t ON t.key = c.key"
                ' ORDER BY d.id, c.generation_id, c.start, c."end", c.key'
            )
        ):
            passages.setdefault(row[0], []).append(tuple(_plain(value) for value in row[1:]))
        loads = connection.execute(text("SELECT count(*) FROM load_shard")).scalar_one()
        pieces = connection.execute(text("SELECT count(*) FROM load_piece")).scalar_one()
    assert (loads, pieces) == (0, 0), "a load that is finished leaves no rows"
    return {
        "documents": {id_: tuple(map(_plain, row)) for id_, row in documents.items()},
        "passages": passages,
    }


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value
