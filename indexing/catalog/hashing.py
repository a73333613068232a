"""The hashes by which a document is known to be unchanged, and its stored row to be unaltered.

What is embedded and what is not have one each: a new date embeds nothing. Both cover the id, so that a row
whose id was altered is noticed.
"""

from __future__ import annotations

import hashlib

__all__ = ["hash_metadata", "hash_parts", "hash_text"]


def hash_text(id_: str, title: str, text: str) -> bytes:
    """16 bytes that change with what is embedded: the title or the text (and with the id)."""
    return hash_parts(id_, title, text)


def hash_metadata(id_: str, metadata: str) -> bytes:
    """16 bytes that change with the metadata (JSON), and with the id."""
    return hash_parts(id_, metadata)


def hash_parts(*parts: str) -> bytes:
    """16 bytes that change with any of `parts`, or with where one ends."""
    pieces: list[bytes] = []
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        pieces += (len(data).to_bytes(8, "little"), data)
    return hashlib.blake2b(b"".join(pieces), digest_size=16).digest()
