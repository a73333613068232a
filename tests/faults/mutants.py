"""Damaged copies of files: what disks, mail programs, editors and bad will make of them."""

from __future__ import annotations

import io
import random
import re
import zipfile
from collections.abc import Callable, Sequence

__all__ = ["mutate"]

LARGEST = 300_000
BYTES = (
    b"\x00\x01\x09\x0a\x0d\x20\x22\x25\x26\x27\x28\x2c\x2f\x3c\x3e\x5b\x5c\x7b\x7f\x80\xc3\xd8\xe0\xfe\xff"
)
NUMBERS = [
    *[
        b"\xff\xff\xff\xff",
        b"\xff\xff\xff\x7f",
        b"\x7f\xff\xff\xff",
        b"\x00\x00\x00\x80",
        b"\x00\x00\x00\x00",
    ],
    *[
        b"\xfe\xff\xff\xff\xff\xff\xff\xff",
        b"-1",
        b"0",
        b"1e999",
        b"NaN",
        b"99999999999999999999",
        b"4294967296",
    ],
]
TEXTS = [
    *[
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"\xf0\x9f\x92\xa9",
        b"\xc3",
        b"\xe2\x80\xae",
        b"\r",
        b"\x0c",
    ],
    *[b"&#x110000;", b"&#xd800;", b"&lol;", b"<![CDATA[", b"<!--", b"]]>", b"<!DOCTYPE a [<!ENTITY b 'c'>]>"],
    *[
        b"\x1b[2J",
        b"..",
        b"/",
        b"#",
        b"---\n",
        b"%",
        b"\\begin{",
        b"=?utf-8?b?",
        b"Content-Type: text/html\n\n",
    ],
]
_TOKEN = re.compile(rb"[\w-]{2,}|[<>(){}\[\]]|\n")


def mutate(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """One damaged copy; `others` are files of the same kind to take pieces from. Equal for equal `rng`."""
    if data.startswith(b"PK\x03\x04") and rng.random() < 0.7:
        damaged = _mutate_member(data, others, rng)
    else:
        damaged = _damage(data, others, rng)
    return damaged[:LARGEST]


def _mutate_member(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """A zip file that is whole, of which one member is damaged, gone or there twice."""
    with zipfile.ZipFile(io.BytesIO(data)) as container:
        members = [(name, container.read(name)) for name in container.namelist()]
    chosen = rng.randrange(len(members))
    name, content = members[chosen]
    kind = rng.random()
    if kind < 0.85:
        members[chosen] = (name, _damage(content, [other for _, other in members], rng))
    elif kind < 0.9:
        del members[chosen]
    elif kind < 0.95:
        members[chosen] = (rng.choice(members)[0], content)
    else:
        members[chosen] = (name, rng.choice(others))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as container:
        for at, (name, content) in enumerate(members):
            if name not in [earlier for earlier, _ in members[:at]]:
                container.writestr(name, content)
    return stream.getvalue()


def _damage(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    for _ in range(rng.choice([1, 1, 1, 2, 3, 6])):
        data = rng.choice(WAYS)(data, others, rng)[: 4 * LARGEST]
    return data


def _range(data: bytes, rng: random.Random, longest: int = 200) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.randrange(1, longest))


def _put(data: bytes, start: int, end: int, piece: bytes) -> bytes:
    return data[:start] + piece + data[end:]


def _flip(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return _put(data, at, at + 1, bytes([data[at] ^ 1 << rng.randrange(8)]))


def _set_byte(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return _put(data, at, at + 1, bytes([rng.choice(BYTES)]))


def _overwrite(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    at, piece = rng.randrange(len(data) + 1), rng.choice(NUMBERS)
    return _put(data, at, at + len(piece), piece)


def _insert(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return _put(data, at, at, rng.choice([*TEXTS, *NUMBERS, rng.randbytes(rng.randrange(1, 17))]))


def _delete(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    return _put(data, *_range(data, rng, rng.choice([4, 60, 2000])), b"")


def _truncate(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _repeat(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    start, end = _range(data, rng)
    return _put(data, end, end, data[start:end] * rng.choice([1, 2, 20, 500]))


def _repeat_token(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """Of what opens something, and often nests it."""
    tokens = [match.span() for match in _TOKEN.finditer(data, 0, 20_000)]
    if not tokens:
        return data
    start, end = rng.choice(tokens)
    return _put(data, start, end, data[start:end] * rng.choice([2, 50, 5_000]))


def _swap_tokens(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    tokens = [match.span() for match in _TOKEN.finditer(data, 0, 20_000)]
    if len(tokens) < 2:
        return data
    (start, end), (from_, to) = rng.choice(tokens), rng.choice(tokens)
    return _put(data, start, end, data[from_:to])


def _splice(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    other = rng.choice(others)
    start, end = _range(other, rng, 3000)
    at = rng.randrange(len(data) + 1)
    return _put(data, at, at, other[start:end])


def _replace_range(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    start, end = _range(data, rng, 40)
    return _put(data, start, end, rng.randbytes(end - start))


Way = Callable[[bytes, Sequence[bytes], random.Random], bytes]
WAYS: list[Way] = [
    *[_flip, _flip, _set_byte, _overwrite, _insert, _insert, _delete, _truncate, _repeat, _repeat_token],
    *[_swap_tokens, _splice, _replace_range],
]
