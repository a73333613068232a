"""How far the rows of a generation in Milvus have followed: a row of their own collection, written last.

    stlib_<uuid>_<generation>_<number>   the collection in Milvus; a new number when it is made anew

A crash between rows and marker leaves the marker behind, never ahead; what came in between is written again,
which changes nothing. `tip` are the last chunks that were written, with digests of their codes, and `gone`
the last that were removed: a catalog that was replaced by an older copy, and has changed since, knows others
under these keys, or still has them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["TIP", "Followed", "collection_name", "digest_of", "number_of", "prefix_of"]

_HEX = re.compile(r"[0-9a-f]{32}")

TIP = 8
"""Chunks in `tip`."""


@dataclass(frozen=True)
class Followed:
    """The rows of what `made_of` stands for (collection, model, codec) have followed up to `change`;
    `purged`: removals up to there were forgotten already when they were begun.
    """

    made_of: str
    change: int
    purged: int
    tip: dict[int, str] = field(default_factory=dict)
    gone: tuple[int, ...] = ()

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Followed | None:
        """None where it cannot be read: somebody else's."""
        try:
            said: dict[str, Any] = json.loads(text)
            tip = {int(key): str(digest) for key, digest in said["tip"].items()}
            gone = tuple(map(int, said["gone"]))
            return cls(str(said["made_of"]), int(said["change"]), int(said["purged"]), tip, gone)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def advanced(self, change: int, rows: Iterable[tuple[int, bytes]], removed: Iterable[int]) -> Followed:
        """After the rows (key, code) of the next changes, and without those that were `removed`."""
        gone = sorted(removed)
        tip = {key: digest for key, digest in self.tip.items() if key not in gone}
        tip |= {key: digest_of(code) for key, code in rows}
        last = (*self.gone, *gone)[-TIP:]
        return Followed(self.made_of, change, self.purged, dict(sorted(tip.items())[-TIP:]), last)


def digest_of(code: bytes) -> str:
    return hashlib.blake2b(code, digest_size=8).hexdigest()


def prefix_of(uuid: str, generation_id: int | None = None) -> str:
    """What the names of all collections in Milvus begin with that belong to a collection, or to one of its
    generations.
    """
    plain = uuid.replace("-", "")
    if not _HEX.fullmatch(plain):  # somebody has altered it, and names of collections and files come of this
        plain = hashlib.blake2b(uuid.encode(), digest_size=16).hexdigest()
    start = f"stlib_{plain}_"
    return start if generation_id is None else f"{start}{int(generation_id)}_"


def collection_name(uuid: str, generation_id: int, number: int) -> str:
    return f"{prefix_of(uuid, generation_id)}{int(number)}"


def number_of(name: str) -> int:
    """Of the collection `name`; 0 where somebody else has named it."""
    last = name.rpartition("_")[2]
    return int(last) if last.isdecimal() else 0
