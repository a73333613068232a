"""What a search returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, overload
from uuid import uuid4

from indexing.documents.marks import NOWHERE, Place

__all__ = ["Result", "SearchResults", "Snippet"]


@dataclass(frozen=True)
class Snippet:
    """A piece of the text that answers; `highlights` are (start, end) characters of `text`, in order. It
    is what begins at the character `start` of the document."""

    text: str
    highlights: list[tuple[int, int]] = field(default_factory=list)
    start: int = 0


@dataclass(frozen=True)
class Result:
    """One document. `parts` says how the score came about; `span` are the (start, end) characters of `text`
    of the passage that matched best, None where only words were looked for. `origin` is the path of the file
    that it was read from, and `place` where in it the snippet begins, as far as its reader can tell.

    For each leg that ran, `semantic` (cosine) and `keyword` (BM25), its rank (`…_rank`, None for a document
    that was not among its candidates) and where several ran its share (`…_share`): the score is the sum of
    the shares, see `indexing.search.fuse`. After reranking `retrieval` and `retrieval_rank` are score
    and rank before it, `rerank` is what the reranker said, and the score is `rerank_share` +
    `retrieval_share`: both standardised over what was read, times `rerank_weight` and 1 − `rerank_weight`,
    see `indexing.search.rerank`. Of a document that was not read `rerank` and these shares are None, and its
    score goes on below the last that was read, as far apart as retrieval had it.

    Scores never rise along the first hundred results; in hybrid mode they may where a deeper look begins, see
    `indexing.search.ranking`.
    """

    id: str
    score: float
    title: str
    text: str
    snippet: Snippet
    metadata: dict[str, Any]
    parts: dict[str, float | int | None]
    span: tuple[int, int] | None = None
    origin: str = ""
    place: Place = NOWHERE

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
            "span": None if self.span is None else list(self.span),
            "origin": self.origin or None,
            "page": self.place.page,
            "line": self.place.line,
            "headings": list(self.place.headings),
        }


@dataclass(frozen=True)
class SearchResults:
    """The answer to one query. It is a sequence of its results, best first: `answer[0]`, `len(answer)`,
    `for result in answer`.

    Attributes:
        query: as it was asked, see `notes`; empty where only a vector was given.
        mode: the name of its legs.
        took_ms: all in all, in milliseconds.
        steps: the same by steps.
        results: best first, from place `offset` of the ranking on.
        keyword_lag: changes that are committed but not yet in the keyword index, because another process is
            writing it at this moment; the semantic side has no lag.
        notes: hints on the query, the filter, the page and the reranker.
        reranked: how many of the best documents the reranker has read: 0 if it failed or had no time, None if
            none was asked for.
        id: of this answer, another one each time.
        serving: id of the serving that answered.
        seq: where the log stood. Pages of the same `seq` fit together, if none has a `keyword_lag` and the
            index of an approximate engine was not rebuilt in between.
        offset: how many better results were left out.
        weak: why none of them may be an answer, in a sentence; None where nothing says so.
        trial: while another serving is tried, (the live one, the other one): the results are of both.
        teams: of each result the serving that is credited with it, None for those with which both begin; None
            without a trial.
        stopped: why the reranker read fewer documents than it should have, in a few words; None where it read
            all, and where none was asked for. A note says it too.
    """

    query: str
    mode: str
    took_ms: float
    steps: dict[str, float]
    results: list[Result]
    keyword_lag: int = 0
    notes: list[str] = field(default_factory=list)
    reranked: int | None = None
    id: str = field(default_factory=lambda: uuid4().hex)
    serving: int | None = None
    seq: int = 0
    offset: int = 0
    weak: str | None = None
    trial: tuple[int, int] | None = None
    teams: list[int | None] | None = None
    stopped: str | None = None

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Result]:
        return iter(self.results)

    @overload
    def __getitem__(self, place: int) -> Result: ...

    @overload
    def __getitem__(self, place: slice) -> list[Result]: ...

    def __getitem__(self, place: int | slice) -> Result | list[Result]:
        return self.results[place]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: `reranked` is there whenever a reranker was asked for, `notes` where there are any."""
        return {
            "id": self.id,
            "query": self.query,
            "mode": self.mode,
            "serving": self.serving,
            "seq": self.seq,
            "offset": self.offset,
            "took_ms": self.took_ms,
            "results": [result.to_dict() for result in self.results],
            **({"keyword_lag": self.keyword_lag} if self.keyword_lag else {}),
            **({} if self.reranked is None else {"reranked": self.reranked}),
            **({"notes": self.notes} if self.notes else {}),
            **({"weak": self.weak} if self.weak else {}),
            **({"trial": list(self.trial), "teams": self.teams} if self.trial else {}),
        }
