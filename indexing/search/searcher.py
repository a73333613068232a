"""From a query to results: retrieve ▸ look again if the collection changed ▸ rerank ▸ snippets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from sqlalchemy import Engine

from indexing.catalog.collections import CollectionState
from indexing.errors import CorruptView
from indexing.evaluation import DEPTH, EvaluationReport, Qrels, Queries, evaluate_rankings
from indexing.quantization import Codec
from indexing.search.allowed import Allowed
from indexing.search.candidates import Candidate, reranked, to_results
from indexing.search.plan import Plan
from indexing.search.rerank import Reranking
from indexing.search.results import SearchResults
from indexing.search.snippets import Highlighter
from indexing.search.timing import Steps
from indexing.views.manager import Readers, Views
from stlib.runtime import EncoderProtocol

__all__ = ["Searcher"]

T = TypeVar("T")

# How often a search looks again when the collection changes under it.
ATTEMPTS = 3


@dataclass(frozen=True)
class Searcher:
    """What one call needs to look into a collection that others may be changing meanwhile.

    Attributes:
        lock: held while the views are opened or examined.
        current: the collection's row and its codec, None before the first document; of this moment.
        encoder: called only for modes that embed the query.
    """

    engine: Engine
    views: Views
    lock: AbstractContextManager[Any]
    current: Callable[[], tuple[CollectionState, Codec | None]]
    encoder: Callable[[], EncoderProtocol]
    highlighter: Highlighter

    def search(
        self,
        query: str,
        k: int,
        mode: str,
        allowed: Allowed | None,
        steps: Steps,
        reranking: Reranking | None = None,
    ) -> SearchResults:
        """The best `k` documents with everything that is shown of them.

        Raises:
            RerankingFailed: the reranker failed.
        """
        depth = k if reranking is None else max(k, reranking.depth)
        found, keyword_lag = self._found(query, k, depth, mode, allowed, steps)
        n_read, notes = None, [] if allowed is None else list(allowed.notes)
        if reranking is not None:
            # Once, when it is settled what was found: a limit on its time is one on the whole search.
            with steps.step("rerank"):
                wanted = min(len(found), reranking.depth)
                found, n_read = reranked(query, found, reranking, self.highlighter)
            if n_read < wanted:
                notes.append(f"time was up after {n_read} of {wanted} documents were reranked")
        with steps.step("snippets"):
            results = to_results(query, found[:k], self.highlighter)
        lag = 0 if mode == "semantic" else keyword_lag
        return SearchResults(query, mode, steps.total, steps.milliseconds, results, lag, notes, n_read)

    def _found(
        self, query: str, k: int, depth: int, mode: str, allowed: Allowed | None, steps: Steps
    ) -> tuple[list[Candidate], int]:
        """The best `depth` documents, at least `k` of them if there are as many, and the lag of the keyword
        index.
        """
        for _ in range(ATTEMPTS):
            found, readers = self._with_readers(
                lambda readers: (self._plan(readers).find(query, depth, mode, allowed, steps), readers), steps
            )
            if len(found) >= k or self.current()[0].last_seq == readers.state.last_seq:
                break  # otherwise a document may have vanished in between: look again
        return found, readers.keyword_lag

    def evaluate(
        self,
        queries: Queries,
        qrels: Qrels,
        mode: str,
        table: np.ndarray | None,
        reranking: Reranking | None = None,
    ) -> EvaluationReport:
        """IR metrics of the ranking of each judged query, over the documents that `table` allows.

        Raises:
            RerankingFailed: the reranker failed.
        """
        depth = DEPTH if reranking is None else max(DEPTH, reranking.depth)

        def evaluated(readers: Readers) -> EvaluationReport:
            plan = self._plan(readers)

            def ranked(query: str) -> Sequence[str]:
                ranking = plan.rank(query, depth, mode, table, Steps())
                if reranking is None:
                    return plan.ids(ranking)
                found = plan.fetched(ranking, None, Steps())
                found, _ = reranked(query, found, reranking, self.highlighter)
                return [candidate.document.id for candidate in found]

            return evaluate_rankings(ranked, queries, qrels, mode)

        return self._with_readers(evaluated, Steps())

    def _with_readers(self, use: Callable[[Readers], T], steps: Steps) -> T:
        """`use` of the views as they are now; of new ones if a snapshot is damaged, or gone because another
        process has just replaced it.
        """
        for _ in range(ATTEMPTS - 1):
            try:
                return use(self._readers(steps))
            except CorruptView:
                with self.lock:
                    self.views.examine(self.current()[1])
        return use(self._readers(steps))

    def _readers(self, steps: Steps) -> Readers:
        with steps.step("open"), self.lock:
            return self.views.readers(*self.current())

    def _plan(self, readers: Readers) -> Plan:
        return Plan(self.engine, self.encoder, readers)
