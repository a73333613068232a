"""What all kinds of mail have in common: a letter, and the documents that it makes.

The subject is the title; sender, receivers and date are metadata. Sender and receivers are also the first
lines of the text, as people remember mail by them. An attachment that has a reader is a document of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import PurePath
from typing import Any

from indexing.documents.formats.members import Names, member_items, named_format
from indexing.documents.model import Document, Item, Skipped
from indexing.documents.source import SourceFile

__all__ = ["Attached", "Letter", "letter_items", "utc_text"]

_RECEIVERS_SHOWN, _RECEIVERS_KEPT = 5, 100
# Signatures and their like: nobody misses them as documents.
_NO_DOCUMENTS = (
    "application/pgp-encrypted",
    "application/pgp-signature",
    "application/pkcs7-signature",
    "application/x-pkcs7-signature",
    "message/delivery-status",
    "message/disposition-notification",
    "multipart/",
    "text/rfc822-headers",
)


@dataclass
class Attached:
    """A part of a letter: bytes with a name and a MIME type, or another letter."""

    name: str
    data: bytes = b""
    content_type: str = ""
    letter: Letter | None = None
    inline: bool = False  # a picture within the text


@dataclass
class Letter:
    """A message, whatever it was stored as. `date` is ISO 8601 in UTC or empty, `id` what mail calls it."""

    id: str = ""
    subject: str = ""
    sender: str = ""
    to: list[str] = field(default_factory=list)
    cc: list[str] = field(default_factory=list)
    date: str = ""
    body: str = ""
    attached: list[Attached] = field(default_factory=list)


def letter_items(file: SourceFile, letter: Letter, key: str = "") -> Iterator[Item]:
    """The letter as a document, then its attachments. `key` is its name within a file of many letters.

    What is attached to a letter that is itself part of another file stays unread: one level is read.
    """
    document = _document(f"{file.name}#{key}" if key else file.name, letter)
    if document:
        yield document
    elif not letter.attached:
        yield Skipped(file.source, None, f"{key}: no text in it" if key else "no text in it")
    if file.inside:
        return
    names, unread = Names(), []
    for part in letter.attached:
        name = names.give(part.name)
        full = f"{key}/{name}" if key else name
        if part.letter:
            inner = _document(f"{file.name}#{full}", part.letter)
            if inner:
                yield inner
        elif format_ := named_format(name, part.content_type):
            yield from member_items(file, full, part.data, format_)
        elif not part.inline and not part.content_type.startswith(_NO_DOCUMENTS):
            unread.append(PurePath(name).suffix.lower() or part.content_type or name)
    for kind in sorted(set(unread)):
        file.note(f"has attachments of a kind that is not read: {kind}")


def utc_text(moment: datetime) -> str:
    """`2024-05-01T10:00:00Z`; a moment without a zone is taken as UTC. Empty where no calendar has it."""
    try:
        moment = moment.astimezone(timezone.utc) if moment.tzinfo else moment
    except (OverflowError, ValueError):
        return ""
    return moment.replace(tzinfo=None, microsecond=0).isoformat() + "Z"


def _document(id_: str, letter: Letter) -> Document | None:
    if not (letter.body.strip() or letter.subject):
        return None
    lines = [f"From: {letter.sender}"] if letter.sender else []
    for word, receivers in (("To", letter.to), ("Cc", letter.cc)):
        if receivers:
            more = ", …" if len(receivers) > _RECEIVERS_SHOWN else ""
            lines.append(f"{word}: {', '.join(receivers[:_RECEIVERS_SHOWN])}{more}")
    text = "\n\n".join(part for part in ("\n".join(lines), letter.body.strip()) if part)
    metadata: dict[str, Any] = {}
    if letter.sender:
        metadata["from"] = letter.sender
    if letter.to:
        metadata["to"] = letter.to[:_RECEIVERS_KEPT]
    if letter.cc:
        metadata["cc"] = letter.cc[:_RECEIVERS_KEPT]
    if letter.date:
        metadata["date"] = letter.date
    if not text:
        return Document(id_, letter.subject, "", metadata)
    return Document(id_, text, letter.subject, metadata)
