"""Compound files as Outlook writes them, by hand."""

from __future__ import annotations

import struct


def outlook(tree: dict) -> bytes:
    """A compound file (MS-CFB) of these streams, each padded with NUL to a size that needs no mini stream."""
    entries: list[list] = [["Root Entry", 5, -1, 0, b""]]  # name, kind, first child, next sibling, data

    def add(children: dict) -> int:
        previous = -1
        for name, content in reversed(children.items()):
            if isinstance(content, dict):
                child = add(content)
                entries.append([name, 1, child, previous, b""])
            else:
                entries.append([name, 2, -1, previous, content.ljust(4096, b"\0")])
            previous = len(entries) - 1
        return previous

    entries[0][2], entries[0][3] = add(tree), -1
    end, free, sector = 0xFFFFFFFE, 0xFFFFFFFF, 512
    directory, data, chains = b"", b"", []
    size = -(-len(entries) * 128 // sector)
    fats = 1 + (size + sum(len(entry[4]) for entry in entries) // sector + 8) // 128
    at = fats + size
    for name, kind, child, sibling, content in entries:
        count = -(-len(content) // sector)
        raw = name.encode("utf-16-le") + b"\0\0"
        directory += struct.pack(
            "<64sHBBiii16sIQQIQ",
            raw,
            len(raw),
            kind,
            1,
            -1,
            sibling,
            child,
            b"",
            0,
            0,
            0,
            at if count else end,
            len(content),
        )
        chains += [at + step + 1 for step in range(count - 1)] + [end] * bool(count)
        data += content.ljust(count * sector, b"\0")
        at += count
    directory = directory.ljust(size * sector, b"\0")
    table = [0xFFFFFFFD] * fats + [fats + step + 1 for step in range(size - 1)] + [end] + chains
    table += [free] * (fats * 128 - len(table))
    head = struct.pack(
        "<8s16sHHHHH6sIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 0x3E, 3, 0xFFFE, 9, 6, b"",
        0, fats, fats, 0, 4096, end, 0, end, 0,
    )  # fmt: skip
    head += struct.pack("<109I", *range(fats), *[free] * (109 - fats))
    return head + struct.pack(f"<{len(table)}I", *table) + directory + data
