"""Text that no vector covers, and that a search by meaning cannot find."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np

from app.report.model import Coverage
from indexing import Collection
from indexing.catalog.stored import StoredDocument
from indexing.embed import chunk_text

__all__ = ["MOST_DOCUMENTS", "measure_coverage"]

MOST_DOCUMENTS = 5_000
"""As many documents show what share is covered, and are read in seconds."""

_EXAMPLES = 5
_BATCH = 500


def measure_coverage(collection: Collection, check: Callable[[], None]) -> Coverage:
    """What the live generation covers of the first `MOST_DOCUMENTS` documents. `check` is called often.

    Raises:
        LockedError: another generation became live meanwhile.
    """
    encoder = collection.encoder if collection.info().model else None
    limit = getattr(encoder, "max_seq_length", None)
    count = getattr(encoder, "token_counts", None)
    without: list[str] = []
    seen = characters = uncovered = passages = cut = 0
    documents = islice(collection.documents(passages=True), MOST_DOCUMENTS)
    while batch := list(islice(documents, _BATCH)):
        check()
        for document in batch:
            seen += 1
            whole, missed = _characters(document)
            characters, uncovered = characters + whole, uncovered + missed
            if not document.passages:
                without.append(document.id)
        texts = [
            chunk_text(one.title, one.text[part.start : part.end])
            for one in batch
            for part in one.passages or ()
        ]
        passages += len(texts)
        if limit and count is not None:
            cut += _longer(texts, count, limit)
    return Coverage(
        seen,
        collection.count(),
        len(without),
        tuple(without[:_EXAMPLES]),
        characters,
        uncovered,
        passages,
        cut,
        limit,
        not limit or count is not None,
    )


def _characters(document: StoredDocument) -> tuple[int, int]:
    """How many characters of the text are no spaces, and how many of these no passage has."""
    covered = np.zeros(len(document.text) + 1, np.int32)
    for part in document.passages or ():
        covered[part.start] += 1
        covered[part.end] -= 1
    inside = np.cumsum(covered)[:-1] > 0
    letters = np.fromiter((not c.isspace() for c in document.text), bool, len(document.text))
    return int(letters.sum()), int((letters & ~inside).sum())


def _longer(texts: list[str], count: Any, limit: int) -> int:
    """How many of the texts have more tokens than the model reads."""
    return int((np.asarray(count(texts)) > limit).sum()) if texts else 0
