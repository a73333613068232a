"""RTF as Outlook compresses it (MS-OXRTFCP): references into the last four thousand bytes."""

from __future__ import annotations

import struct

from indexing.documents.source import Unreadable
from indexing.documents.unpack import Counted

__all__ = ["unpack_rtf"]

# What every compressor begins with, as if it had been written before: the commonest beginnings of RTF.
_BEFORE = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript "
    b"\\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
_WINDOW = 4096


def unpack_rtf(packed: bytes) -> bytes:
    """Raises `Unreadable` for what is neither compressed nor marked as plain."""
    if len(packed) < 16:
        raise Unreadable("its text is cut off")
    _, size, mark, _ = struct.unpack("<I I 4s I", packed[:16])
    if mark == b"MELA":
        return packed[16 : 16 + size]
    if mark != b"LZFu":
        raise Unreadable("its text is compressed in an unknown way")
    counted = Counted(len(packed))
    window = bytearray(_BEFORE.ljust(_WINDOW, b"\0"))
    at, out, position = len(_BEFORE), bytearray(), 16
    while position < len(packed):
        flags = packed[position]
        position += 1
        for bit in range(8):
            if not flags >> bit & 1:
                piece = packed[position : position + 1]
                position += 1
            else:
                reference = int.from_bytes(packed[position : position + 2].ljust(2, b"\0"), "big")
                position += 2
                start, length = reference >> 4, (reference & 15) + 2
                if start == at or position > len(packed):
                    return bytes(out)
                piece = _copy(window, at, start, length)
            for byte in piece:
                window[at] = byte
                at = (at + 1) % _WINDOW
            out += piece
            counted.take(len(piece))
    return bytes(out)


def _copy(window: bytearray, at: int, start: int, length: int) -> bytes:
    """`length` bytes from `start` on, which may run into what this very reference writes."""
    known = (at - start) % _WINDOW or _WINDOW
    piece = bytes(window[(start + offset) % _WINDOW] for offset in range(min(length, known)))
    return (piece * (length // max(len(piece), 1) + 1))[:length]
