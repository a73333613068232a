"""Keyed hashes, for homes that keep no words of their visitors.

The key is made from the machine's (`indexing.storage.machine`), which lies outside every home: who has the
database alone cannot try names and questions against it. The same person or question has the same hash as
long as that key lasts, so that it can be counted, and erased by its name.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

from app.feedback.model import Event, Impression
from indexing.storage.machine import machine_key

__all__ = ["hide", "keyed_hash"]


def keyed_hash(text: str) -> str:
    """64 hexadecimal digits; empty for an empty text, which says nothing."""
    if not text:
        return ""
    key = hashlib.sha256(b"stlib feedback\0" + machine_key()).digest()
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def hide(item: Impression | Event) -> Impression | Event:
    """The same without words: question, filter, person, visit and draw are keyed hashes, or left out."""
    who, session = keyed_hash(item.who), keyed_hash(item.session)
    if isinstance(item, Event):
        return replace(item, who=who, session=session)
    return replace(
        item,
        who=who,
        session=session,
        query="",
        query_hash=keyed_hash(item.query_hash),
        filter=None if item.filter is None else keyed_hash(item.filter),
        seed="",
        hashed=True,
    )
