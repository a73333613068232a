"""A body of lines in batches, as it comes: no more than one batch and one line are held."""

from __future__ import annotations

from collections.abc import AsyncIterator

from indexing.errors import BadInput

__all__ = ["line_batches"]

BATCH_LINES = 500  # below the number of changes after which `Collection.add` publishes its views
BATCH_BYTES = 4 << 20


async def line_batches(pieces: AsyncIterator[bytes], most: int) -> AsyncIterator[list[bytes]]:
    """
    Raises:
        BadInput: a line is longer than `most` bytes; those before it were yielded.
    """
    lines: list[bytes] = []
    size = 0
    begun = bytearray()  # of a line whose end has not come
    async for piece in pieces:
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            begun += piece[start:end]
            start = end + 1
            if len(begun) > most:
                break
            lines.append(bytes(begun))
            size += len(begun)
            begun.clear()
            if len(lines) >= BATCH_LINES or size >= BATCH_BYTES:
                yield lines
                lines, size = [], 0
        begun += piece[start:]
        if len(begun) > most:
            if lines:
                yield lines
            raise BadInput(f"a line is longer than {most / 2**20:g} MiB, the most that one document may have")
    if begun:
        lines.append(bytes(begun))
    if lines:
        yield lines
