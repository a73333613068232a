"""What is asked of a collection, checked and cleaned once: whoever gets a `Request` need not look again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from indexing.documents.model import storable_text
from indexing.errors import BadInput
from indexing.models.encoders import normalise
from indexing.names import DEFAULT_MODE, DEFAULT_RERANK_DEPTH, DEFAULT_RESULTS, MODES
from indexing.search.filter_spelling import Given, filter_text
from indexing.search.filters import Node, parse_filter

__all__ = ["MAX_QUERY_CHARACTERS", "Filter", "Request", "check_mode", "make_request"]

# A longer text is no question; its first part says what it is about.
MAX_QUERY_CHARACTERS = 20_000


@dataclass(frozen=True)
class Filter:
    """A condition on metadata: as it was written, and as it is understood."""

    text: str
    node: Node


@dataclass(frozen=True, eq=False)
class Request:
    """One question, as `make_request` made it.

    Attributes:
        query: text that can be stored and encoded, at most `MAX_QUERY_CHARACTERS`; may be empty.
        k: how many documents are wanted, 1 or more.
        offset: how many better ones are left out, 0 or more.
        mode: one of `indexing.names.MODES`.
        filter: what documents must fulfil; None allows all.
        vector: stands for the query's meaning, float32 [d] of length 1; None has the query embedded.
        seq: where the log stood when the page before was made; None for a first page.
        rerank_depth: how many of the best documents a reranker reads.
        rerank_budget_ms: when it stops reading; None reads all.
        notes: what the caller should know, such as that the query was cut.
    """

    query: str
    k: int = DEFAULT_RESULTS
    offset: int = 0
    mode: str = DEFAULT_MODE
    filter: Filter | None = None
    vector: np.ndarray | None = None
    seq: int | None = None
    rerank_depth: int = DEFAULT_RERANK_DEPTH
    rerank_budget_ms: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def last(self) -> int:
        """How far down the ranking the answer reaches."""
        return self.offset + self.k

    @property
    def asks_nothing(self) -> bool:
        return self.vector is None and not self.query.strip()

    def with_query(self, query: str) -> Request:
        """The same for another question."""
        text, notes = _clean_query(query, None)
        return replace(self, query=text, notes=notes)


def make_request(
    query: str | None,
    k: int = DEFAULT_RESULTS,
    *,
    offset: int = 0,
    mode: str = DEFAULT_MODE,
    filter: Given | None = None,
    vector: Any = None,
    seq: int | None = None,
    rerank_depth: int = DEFAULT_RERANK_DEPTH,
    rerank_budget_ms: float | None = None,
) -> Request:
    """A request out of what a caller gave.

    Raises:
        BadInput: something that makes no sense; the message says what came and what is allowed.
        FilterError: the filter cannot be understood; knows the position.
    """
    check_mode(mode)
    if vector is not None and mode == "keyword":
        raise BadInput("mode 'keyword' looks for words and has no use for a vector: use semantic or hybrid")
    text, notes = _clean_query(query, vector)
    written = "" if filter is None else filter_text(filter)
    node = parse_filter(written)
    return Request(
        text,
        _check_whole(k, "k", "results", 1),
        _check_whole(offset, "offset", "results to leave out", 0),
        mode,
        None if node is None else Filter(written, node),
        None if vector is None else _clean_vector(vector),
        None if seq is None else _check_whole(seq, "seq", "changes, as the page before had it", 0),
        _check_whole(rerank_depth, "rerank_depth", "documents", 1),
        _check_budget(rerank_budget_ms),
        notes,
    )


def check_mode(mode: object) -> None:
    """Raises BadInput unless there is this mode."""
    if mode not in MODES:
        raise BadInput(f"mode {mode!r}: use one of {', '.join(MODES)}")


def _clean_query(query: object, vector: object) -> tuple[str, tuple[str, ...]]:
    """The text to ask with, and what was done to it."""
    if query is None:
        if vector is None:
            raise BadInput("nothing is asked: give a query, a vector, or both")
        return "", ()
    if not isinstance(query, str):
        raise BadInput(f"query of type {type(query).__name__}: give a text")
    text, notes = storable_text(query[:MAX_QUERY_CHARACTERS]), ()
    if len(query) <= MAX_QUERY_CHARACTERS:
        return text, notes
    return text, (
        f"only the first {MAX_QUERY_CHARACTERS:,} of the query's {len(query):,} characters are used",
    )


def _clean_vector(vector: Any) -> np.ndarray:
    """float32 [d] of length 1."""
    try:
        with np.errstate(over="ignore"):  # infinite then, and refused below
            numbers = np.asarray(vector, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise BadInput(f"vector of type {type(vector).__name__}: give one number per dimension") from error
    if numbers.ndim != 1 or not len(numbers):
        raise BadInput(f"vector of shape {list(numbers.shape)}: give one number per dimension, [d]")
    if not np.isfinite(numbers).all():
        raise BadInput("the vector has NaN or infinite values: give finite numbers")
    if not numbers.any():
        raise BadInput("the vector has length 0, so nothing is nearer to it than anything else")
    largest = np.abs(numbers).max()
    if not 1e-9 < largest < 1e9:  # squares would leave the range of float32
        numbers = numbers / largest
    return normalise(numbers[None])[0]  # as vectors of the model are, so that both give equal scores


def _check_whole(value: object, name: str, noun: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise BadInput(f"{name} = {value!r}: give a whole number of {noun}, {least} or more")
    return int(value)


def _check_budget(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise BadInput(f"rerank_budget_ms = {value!r}: give milliseconds, or None for no limit")
    return value
