"""Numbers as people read them, for terminal and page alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = [
    "RIGHT_WORDS",
    "ROLE_WORDS",
    "explain_score",
    "format_beside",
    "format_bytes",
    "format_count",
    "format_decimal",
    "format_duration",
    "format_equation",
    "format_hours",
    "format_milliseconds",
    "format_model",
    "format_progress",
    "format_quantity",
]


def format_count(count: int, noun: str) -> str:
    """`1 document`, `6,894 documents`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def explain_score(parts: Mapping[str, float | int | None]) -> list[tuple[str, str]]:
    """How a score came about, in lines of a name and a text.

    Where several legs ran their shares add up to the score; after reranking those of reading and retrieval
    do, and those of the legs to what retrieval said.
    """
    if "retrieval" not in parts:
        return _legs(parts)
    return [*_reranking(parts), *((f"retrieval {name}", text) for name, text in _legs(parts))]


def format_equation(score: float, parts: Mapping[str, float | int | None]) -> str:
    """How a score came about, in one line. What stands on both sides of an equals sign is equal."""
    legs = _sum(_legs(parts))
    if "retrieval" not in parts:
        return f"{score:.3f} = {legs}"
    read, retrieved = parts["rerank"], f"{parts['retrieval']:.3f} = {legs}"
    if read is None:
        return f"{score:.3f}: not read; by retrieval rank {parts['retrieval_rank']}; {retrieved}"
    return f"{score:.3f} = {_sum(_reranking(parts))}; {retrieved}"


def _sum(lines: Iterable[tuple[str, str]]) -> str:
    return " + ".join(f"{name} {text}" for name, text in lines)


@dataclass(frozen=True)
class _LegWords:
    """How the parts of a leg read.

    Attributes:
        name: what it goes by.
        measure: its score.
        nothing: said of a score of 0; None where that is a score like any other.
    """

    name: str
    measure: str
    nothing: str | None = None


_LEGS = {
    "semantic": _LegWords("by meaning", "cosine"),
    "keyword": _LegWords("by words", "BM25", nothing="no word matches"),
    "sparse": _LegWords("by terms", "weight", nothing="no term matches"),
    "memory": _LegWords("by judgments", "worth", nothing="not judged for similar questions"),
}
_EXTRAS = {"title": "by title", "naming": "by naming", "length": "by length"}
_NO_LEGS = ("retrieval", "rerank")  # they have ranks, too


def _legs(parts: Mapping[str, float | int | None]) -> list[tuple[str, str]]:
    """What each leg said, and what features and boosts add."""
    legs = [name for name in parts if f"{name}_rank" in parts and name not in _NO_LEGS]
    said = [_leg(parts, leg, _LEGS.get(leg, _LegWords(f"by {leg}", "score"))) for leg in legs]
    return said + [
        (_EXTRAS.get(name, name.replace("_", " ")), f"{parts[f'{name}_share']:.3f}")
        for name in (key.removesuffix("_share") for key in parts if key.endswith("_share"))
        if name not in legs and name not in _NO_LEGS
    ]


def _leg(parts: Mapping[str, float | int | None], leg: str, words: _LegWords) -> tuple[str, str]:
    rank, share = parts[f"{leg}_rank"], parts.get(f"{leg}_share")
    how = f"{words.measure} {parts[leg]:.3f}, " + (f"rank {rank}" if rank else "not among its best")
    if words.nothing and not parts[leg]:
        how = words.nothing
    return words.name, how if share is None else f"{share:.3f} ({how})"


def _reranking(parts: Mapping[str, float | int | None]) -> list[tuple[str, str]]:
    """What the reranker said, and where the document stood before it."""
    retrieved = f"{parts['retrieval']:.3f}, rank {parts['retrieval_rank']}"
    if parts["rerank"] is None:
        return [("by reading", "not read"), ("by retrieval", retrieved)]
    return [
        ("by reading", f"{parts['rerank_share']:.3f} ({parts['rerank']:.3f}, rank {parts['rerank_rank']})"),
        ("by retrieval", f"{parts['retrieval_share']:.3f} ({retrieved})"),
    ]


def format_bytes(count: float) -> str:
    """`512 bytes`, `12.3 MiB`, `240 GiB`: binary units."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def format_decimal(count: float) -> str:
    """`512 bytes`, `12 kB`, `1.3 GB`, `2.4 TB`: decimal units, as disks and machines are sold by."""
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.5:
            return f"{count:.1f} {unit}" if count < 99.95 else f"{count:.0f} {unit}"
    return f"{count / 1000:,.1f} TB"


def format_quantity(count: float) -> str:
    """`950`, `12.5k`, `40M`, `1.2G`: a large number in short."""
    if count < 1000:
        return f"{count:.0f}"
    for unit in ("k", "M"):
        count /= 1000
        if count < 999.5:
            return f"{count:.3g}{unit}"
    count /= 1000
    return f"{count:.3g}G" if count < 999.5 else f"{count:,.0f}G"


def format_hours(seconds: float) -> str:
    """`35 s`, `12 min`, `4.5 h`, `12 days`: about how long something takes."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 99.5 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:,.0f} days"


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


def format_model(name: str) -> str:
    """The name of a collection's model; one that was made without has an empty one."""
    return name or "vectors of your own"


RIGHT_WORDS = {
    "search": "search",
    "judge": "judge answers",
    "write": "write documents",
    "improve": "improve the search",
    "manage": "manage collections",
}
"""What somebody may do, by the right to it."""

ROLE_WORDS = {"sparse": "terms", "tokens": "tokens"}
"""What passages may have beside their vector, by role."""


def format_beside(model: str, size: int) -> str:
    """By which model it was made, and about how large it is."""
    return f"by {format_model(model)}, {format_bytes(size)}"


def format_progress(done: int, total: int | None, unit: str, rate: float, seconds_left: float | None) -> str:
    """`43 %, 12,000 documents, 5,900/s, 3 min 20 s left`; empty before anything was counted."""
    if not done:
        return ""
    share = [f"{min(1.0, done / total):.0%}".replace("%", " %")] if total else []
    left = [] if seconds_left is None else [f"{format_duration(seconds_left)} left"]
    return ", ".join([*share, f"{done:,} {unit}", f"{rate:,.0f}/s", *left])
