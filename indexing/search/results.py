"""What a search returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Result", "SearchResults", "Snippet"]


@dataclass(frozen=True)
class Snippet:
    """A piece of the text that answers; `highlights` are (start, end) characters of `text`, in order."""

    text: str
    highlights: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    """One document. `parts` says how the score came about.

    For each leg that ran, `semantic` (cosine) and `keyword` (BM25), its rank (`…_rank`, None for a document
    that was not among its candidates) and in hybrid mode its share: the score is `semantic_share` +
    `keyword_share`, see `indexing.search.fusion`. After reranking `retrieval` and `retrieval_rank` are score
    and rank before it, `rerank` is what the reranker said, and the score is `rerank_share` +
    `retrieval_share`: both standardised over what was read, times `rerank_weight` and 1 − `rerank_weight`,
    see `indexing.search.rerank`. Of a document that was not read `rerank` and these shares are None, and its
    score goes on below the last that was read, as far apart as retrieval had it: scores never rise along a
    list.
    """

    id: str
    score: float
    title: str
    text: str
    snippet: Snippet
    metadata: dict[str, Any]
    parts: dict[str, float | int | None]

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "score": self.score,
            "title": self.title,
            "text": self.text,
            "snippet": {
                "text": self.snippet.text,
                "highlights": [list(span) for span in self.snippet.highlights],
            },
            "metadata": self.metadata,
            "parts": self.parts,
        }


@dataclass(frozen=True)
class SearchResults:
    """The answer to one query: `results` best first, `steps` in milliseconds, `keyword_lag` in documents.

    `keyword_lag` counts changes that are committed but not yet in the keyword index, because another process
    is writing it at this moment; the semantic side has no lag. `notes` are hints on the filter and
    the reranker. `reranked` is how many of the best documents the reranker has read: 0 if it failed or had no
    time, None if none was asked for.
    """

    query: str
    mode: str
    took_ms: float
    steps: dict[str, float]
    results: list[Result]
    keyword_lag: int = 0
    notes: list[str] = field(default_factory=list)
    reranked: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON: `reranked` is there whenever a reranker was asked for, `notes` where there are any."""
        return {
            "query": self.query,
            "took_ms": self.took_ms,
            "results": [result.to_dict() for result in self.results],
            **({} if self.reranked is None else {"reranked": self.reranked}),
            **({"notes": self.notes} if self.notes else {}),
        }
