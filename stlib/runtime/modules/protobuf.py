"""The few rules of protobuf's wire format that reading an ONNX file needs.

https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import NamedTuple

Buffer = bytes | mmap.mmap

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Field(NamedTuple):
    """A length-delimited field of a message: ``content[begin:end]`` is its value.

    The whole field, with its number and length in front, begins at ``start``.
    """

    number: int
    start: int
    begin: int
    end: int


class Budget:
    """How many fields of a file are read before it is given up, as one that was made to keep us busy."""

    def __init__(self, most: int) -> None:
        self.most = self.left = most

    def take(self) -> None:
        """Count one.

        Raises:
            ValueError: it is one too many.
        """
        self.left -= 1
        if self.left < 0:
            raise ValueError(f"it has more than {self.most:,} fields")


def fields(content: Buffer, start: int, end: int, budget: Budget | None = None) -> Iterator[Field]:
    """The length-delimited fields of the message in ``content[start:end]``; fields of numbers are skipped.

    Raises:
        ValueError, IndexError: this is no message, or more than the budget.
    """
    at = start
    while at < end:
        first = at
        if budget is not None:
            budget.take()
        key, at = read_varint(content, at)
        if not key >> 3:
            raise ValueError(f"byte {first} holds a field of number 0, which there is not")
        kind = key & 7
        if kind == _VARINT:
            _, at = read_varint(content, at)
        elif kind == _FIXED64:
            at += 8
        elif kind == _FIXED32:
            at += 4
        elif kind == _BYTES:
            length, at = read_varint(content, at)
            if at + length > end:
                raise ValueError("a field is longer than its message")
            yield Field(key >> 3, first, at, at + length)
            at += length
        else:
            raise ValueError(f"byte {at} holds a field of unknown kind {kind}")
    if at != end:
        raise ValueError("a message ends in the middle of a field")


def read_varint(content: Buffer, at: int) -> tuple[int, int]:
    """A number of variable length, and the place after it."""
    value = shift = 0
    while shift < 70:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError(f"byte {at} holds a number of more than ten bytes")


def varint(value: int) -> bytes:
    """A number in as many bytes as it needs."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def message_field(number: int, value: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | _BYTES) + varint(len(value)) + value


def number_field(number: int, value: int) -> bytes:
    """A field that holds a number."""
    return varint(number << 3 | _VARINT) + varint(value)
