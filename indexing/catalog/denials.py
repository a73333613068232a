"""What was erased and must not come back: by its id, and by its text under any id.

Only digests are kept (BLAKE2b of 32 bytes), keyed by a random key of the collection. They tell whether a
document that is brought is one of them, and nothing else: neither id nor text can be read from them, and
tables that were computed elsewhere do not fit. Who has the whole catalog can try a guess, as a sync does.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from indexing.catalog.log import slices
from indexing.catalog.schema import CollectionRow, Denial

__all__ = ["FEWEST_CHARACTERS", "Denials", "ToDeny", "deny", "find_denials", "lift_denials", "read_denials"]

FEWEST_CHARACTERS = 24
"""A shorter text is denied under its id alone: other documents may well say "No." too."""

ID, TEXT = "id", "text"
_KEY_BYTES = 32


@dataclass(frozen=True)
class Denials:
    """The digests of one collection: `of_ids` and `of_texts` say by which erasure."""

    key: bytes
    of_ids: Mapping[bytes, int]
    of_texts: Mapping[bytes, int]

    def by_id(self, id_: str) -> int | None:
        """The erasure that this id was denied by; None where it was not."""
        return self.of_ids.get(digest_of_id(self.key, id_))

    def by_text(self, text: str) -> int | None:
        """The same of a text, whatever white space is in it."""
        digest = digest_of_text(self.key, text) if self.of_texts else None
        return None if digest is None else self.of_texts.get(digest)


def digest_of_id(key: bytes, id_: str) -> bytes:
    return _digest(key, b"id\0", id_)


def digest_of_text(key: bytes, text: str) -> bytes | None:
    """None for a text that is too short to be told from others."""
    words = " ".join(text.split())
    return _digest(key, b"text\0", words) if len(words) >= FEWEST_CHARACTERS else None


def _digest(key: bytes, kind: bytes, text: str) -> bytes:
    return hashlib.blake2b(kind + text.encode("utf-8", "surrogatepass"), key=key, digest_size=32).digest()


def read_denials(connection: Connection, collection_id: int) -> Denials | None:
    """All that is denied in a collection; None where nothing is. Who adds asks `find_denials`."""
    rows = connection.execute(
        select(Denial.kind, Denial.digest, Denial.erasure_id).where(Denial.collection_id == collection_id)
    ).all()
    key = _key(connection, collection_id) if rows else None
    if key is None:
        return None
    return _denials(key, rows)


def _denials(key: bytes, rows: Iterable[Any]) -> Denials:
    kinds: dict[str, dict[bytes, int]] = {ID: {}, TEXT: {}}
    for kind, digest, erasure in rows:
        kinds.setdefault(kind, {})[digest] = erasure
    return Denials(key, kinds[ID], kinds[TEXT])


def find_denials(
    connection: Connection, collection_id: int, texts: Mapping[str, str | None]
) -> Denials | None:
    """What is denied of documents that are about to come: their ids, and each one's text or None."""
    key = _key(connection, collection_id)
    if key is None:
        return None
    digests: set[bytes | None] = {digest_of_id(key, id_) for id_ in texts}
    digests |= {digest_of_text(key, text) for text in texts.values() if text is not None}
    mine = Denial.collection_id == collection_id
    columns = select(Denial.kind, Denial.digest, Denial.erasure_id)
    rows = [
        row
        for part in slices(digests - {None})
        for row in connection.execute(columns.where(mine, Denial.digest.in_(part)))
    ]
    return _denials(key, rows)


@dataclass(frozen=True)
class ToDeny:
    """Digests of what is about to be denied: (of, kind, digest), see `Denial`, each once."""

    key: bytes
    rows: dict[tuple[bytes, str, bytes], None]

    @classmethod
    def of(cls, connection: Connection, collection_id: int, ids: Iterable[str]) -> ToDeny:
        """Ids; the key is a new one where the collection has none."""
        key = _key(connection, collection_id) or secrets.token_bytes(_KEY_BYTES)
        digests = (digest_of_id(key, id_) for id_ in ids)
        return cls(key, {(digest, ID, digest): None for digest in digests})

    def add_text(self, id_: str, text: str) -> None:
        """The text of one of them."""
        digest = digest_of_text(self.key, text)
        if digest is not None:
            self.rows[digest_of_id(self.key, id_), TEXT, digest] = None


def deny(connection: Connection, collection_id: int, erasure: int, denied: ToDeny) -> None:
    """Denies ids and texts; what was denied before stays so."""
    if _key(connection, collection_id) is None:
        of = CollectionRow.id == collection_id
        connection.execute(update(CollectionRow).where(of).values(denial_key=denied.key))
    same = {"collection_id": collection_id, "erasure_id": erasure}
    known = _known(connection, collection_id, [of for of, _, _ in denied.rows])
    new = [
        {**same, "of": of, "kind": kind, "digest": digest}
        for of, kind, digest in denied.rows
        if (of, kind) not in known
    ]
    if new:
        connection.execute(insert(Denial), new)


def lift_denials(
    connection: Connection, collection_id: int, ids: Iterable[str] = (), erasure: int | None = None
) -> int:
    """Lets documents in again, by their ids or all of an erasure; returns how many were kept out."""
    key = _key(connection, collection_id)
    mine = Denial.collection_id == collection_id
    wanted = [] if key is None else [digest_of_id(key, id_) for id_ in ids]
    conditions: list[ColumnElement[bool]] = [Denial.of.in_(part) for part in slices(wanted)]
    if erasure is not None:
        conditions.append(Denial.erasure_id == erasure)
    lifted = 0
    for condition in conditions:
        counted = select(func.count()).where(mine, condition, Denial.kind == ID)
        lifted += connection.scalar(counted) or 0
        connection.execute(delete(Denial).where(mine, condition))
    return lifted


def _key(connection: Connection, collection_id: int) -> bytes | None:
    return connection.scalar(select(CollectionRow.denial_key).where(CollectionRow.id == collection_id))


def _known(connection: Connection, collection_id: int, of: Iterable[bytes]) -> set[tuple[bytes, str]]:
    return {
        (row[0], row[1])
        for part in slices(dict.fromkeys(of))
        for row in connection.execute(
            select(Denial.of, Denial.kind).where(Denial.collection_id == collection_id, Denial.of.in_(part))
        )
    }
