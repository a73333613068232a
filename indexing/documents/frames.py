"""What parent and child say to each other: JSON behind a four-byte length, never pickle.

The parent writes one line of JSON per file to read; the child answers with frames. A document is a list
`[id, text, title, metadata, marks]`, a skipped line is `[line, reason]`.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import IO, Any

from indexing.documents.fields import storable_document
from indexing.documents.marks import marks_from_json, marks_to_json
from indexing.documents.model import Document, Item, Skipped
from indexing.documents.options import ReadOptions
from indexing.documents.part import Part
from indexing.documents.source import SourceFile

__all__ = [
    "Frame",
    "decode_frame",
    "encode_frame",
    "file_from_line",
    "line_from_file",
    "read_payload",
    "write_payload",
]

_LENGTH = struct.Struct(">I")
_PAYLOAD_LIMIT = 2**31  # a length past this is not a frame but the noise of a broken process


@dataclass
class Frame:
    """A batch of one file. `end` closes the file; `read` is how many of its bytes have been read."""

    items: list[Item] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    read: int = 0
    end: bool = False


def encode_frame(frame: Frame) -> bytes:
    payload = _dump(frame)
    try:
        data = payload.encode()
    except UnicodeEncodeError:
        data = b""
    if not data or "\\u0000" in payload:  # rare: pay for the cleaning only where something is to clean
        frame.items = [storable_document(item) if type(item) is Document else item for item in frame.items]
        data = _dump(frame).encode("utf-8", "replace")
    return data


def decode_frame(payload: bytes, source: str) -> Frame:
    """Raises `ValueError` for what is not a frame."""
    raw = json.loads(payload)
    try:
        items: list[Item] = [
            _unpack_document(item) if len(item) == 5 else Skipped(source, item[0], item[1])
            for item in raw["items"]
        ]
        return Frame(items, raw["notes"], raw["read"], raw["end"])
    except (TypeError, KeyError, IndexError) as error:
        raise ValueError(f"not a frame: {error}") from error


def _unpack_document(item: list[Any]) -> Document:
    id_, text, title, metadata, marks = item
    return Document(id_, text, title, metadata, marks=marks_from_json(marks))


def line_from_file(file: SourceFile) -> bytes:
    told = {name: value for name, value in vars(file).items() if name != "data"}
    part = None if file.part is None else vars(file.part)
    return json.dumps({**told, "options": file.options.to_json(), "part": part}).encode() + b"\n"


def file_from_line(line: bytes) -> SourceFile:
    told = json.loads(line)
    part = None if told["part"] is None else Part(**{**told["part"], "groups": tuple(told["part"]["groups"])})
    return SourceFile(**{**told, "options": ReadOptions.from_json(told["options"]), "part": part})


def write_payload(stream: IO[bytes], payload: bytes) -> None:
    stream.write(_LENGTH.pack(len(payload)))
    stream.write(payload)
    stream.flush()


def read_payload(stream: IO[bytes]) -> bytes | None:
    """The next payload; None when the other side is gone, or went in the middle of one."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    length = _LENGTH.unpack(head)[0]
    if length > _PAYLOAD_LIMIT:
        return None
    payload = stream.read(length)
    return payload if len(payload) == length else None


def _dump(frame: Frame) -> str:
    items: list[list[Any]] = [
        [item.id, item.text, item.title, item.metadata, marks_to_json(item.marks)]
        if type(item) is Document
        else _pack_skipped(item)
        for item in frame.items
    ]
    raw = {"items": items, "notes": frame.notes, "read": frame.read, "end": frame.end}
    return json.dumps(raw, ensure_ascii=False, separators=(",", ":"))


def _pack_skipped(item: Any) -> list[Any]:
    return [item.line, item.reason]
