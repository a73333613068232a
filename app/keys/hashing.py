"""The text of a key, and the hash of it that is kept.

A key is `stk_ID_SECRET`: 12 hexadecimal digits that name it, and 32 random bytes. Nobody guesses 256 bits, so
one round of SHA-256 is enough; a slow hash protects short passwords, and would cost each request.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

__all__ = ["draw_key", "hash_of", "id_of", "is_key"]

_KEY = re.compile(r"stk_([0-9a-f]{12})_[A-Za-z0-9_-]{43}", re.ASCII)


def draw_key() -> tuple[str, str]:
    """A new key: its id, and the whole text."""
    id_ = secrets.token_hex(6)
    return id_, f"stk_{id_}_{secrets.token_urlsafe(32)}"


def id_of(text: str) -> str | None:
    """The id in a text that has the form of a key; None for any other."""
    found = _KEY.fullmatch(text)
    return None if found is None else found[1]


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def is_key(text: str, stored: str) -> bool:
    """Whether `stored` is the hash of this text, in a time that tells nothing of it."""
    return hmac.compare_digest(hash_of(text), stored)
