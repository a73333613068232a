"""Numbers as people read them, for terminal and page alike."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["counted", "explained", "format_bytes", "format_duration", "format_milliseconds"]


def counted(count: int, noun: str) -> str:
    """`1 document`, `6,894 documents`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def explained(parts: Mapping[str, float | int | None]) -> list[tuple[str, str]]:
    """How a score came about, in lines of a name and a text; in hybrid mode the shares add up to it."""
    lines = _reranking(parts)
    for leg, name, measure in (("semantic", "by meaning", "cosine"), ("keyword", "by words", "BM25")):
        if leg not in parts:
            continue
        rank = parts.get(f"{leg}_rank")
        how = f"{measure} {parts[leg]:.3f}, " + (f"rank {rank}" if rank else "not among its best")
        if leg == "keyword" and not parts[leg]:
            how = "no word matches"
        share = parts.get(f"{leg}_share")
        lines.append((name, how if share is None else f"{share:.3f} ({how})"))
    return lines


def _reranking(parts: Mapping[str, float | int | None]) -> list[tuple[str, str]]:
    """What the reranker said, and where the document stood before it."""
    if "retrieval" not in parts:
        return []
    read = parts["rerank"]
    said = "not read" if read is None else f"{read:.3f}, rank {parts['rerank_rank']}"
    return [
        ("by reading", said),
        ("by retrieval", f"{parts['retrieval']:.3f}, rank {parts['retrieval_rank']}"),
    ]


def format_bytes(count: float) -> str:
    """`512 bytes`, `12.3 MiB`, `240 GiB`: binary units."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def format_duration(seconds: float) -> str:
    """`0.42 s`, `12.3 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def format_milliseconds(value: float) -> str:
    """`0.4 ms`, `164 ms`, `1.1 s`."""
    return (
        f"{value / 1000:.1f} s" if value >= 1000 else f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms"
    )
