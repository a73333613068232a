"""The hash by which a document is known to be unchanged, and its stored text to be unaltered."""

from __future__ import annotations

import hashlib

__all__ = ["content_hash"]


def content_hash(title: str, text: str, metadata: str) -> bytes:
    """16 bytes that change with the title, the text or the metadata (JSON)."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (title, text, metadata):
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.digest()
