"""From a request to an answer: filter ▸ legs ▸ fuse ▸ fetch ▸ look again if the collection changed ▸ rerank ▸
snippets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from indexing.catalog.database import reading
from indexing.catalog.generations import GenerationInfo
from indexing.catalog.reads import document_ids
from indexing.catalog.servings import ServingInfo
from indexing.errors import CorruptView, RerankingFailed
from indexing.evaluation import DEPTH, EvaluationReport, Qrels, Queries, evaluate_rankings
from indexing.models.rerankers import Rerankers, no_reranker
from indexing.names import SERVING_RERANKER
from indexing.search.allowed import Allowed, AllowedCache
from indexing.search.candidates import Candidate, fetch_candidates, make_results, rerank_candidates
from indexing.search.legs import Sources, make_legs
from indexing.search.pages import change_note, exclude_newer
from indexing.search.ranking import Ranking, rank
from indexing.search.request import Request
from indexing.search.rerank import Reranking
from indexing.search.results import SearchResults
from indexing.search.snippets import Highlighter
from indexing.search.timing import Steps
from indexing.search.weights import weights_of
from indexing.session import Live, Session
from indexing.views.manager import Readers, Views
from stlib.runtime import EncoderProtocol

__all__ = ["Searcher"]

T = TypeVar("T")

# How often a search looks again when the collection changes under it.
ATTEMPTS = 3


@dataclass(frozen=True)
class _Found:
    """Candidates of one state of the collection: those a reranker may read, then those of the page.

    Attributes:
        live: that state.
        reranking: how to go on with them; None if they stay as they are.
        lag: committed changes that a leg's index had not followed.
        vanished: a document was deleted, or changed and matched no more, while it was fetched.
        notes: on the filter.
    """

    candidates: list[Candidate]
    live: Live
    reranking: Reranking | None
    lag: int
    vanished: bool
    notes: list[str]


@dataclass(frozen=True)
class Searcher:
    """What one call needs to look into a collection that others may be changing meanwhile.

    Attributes:
        encoder_of: the model of a generation; called only for legs that embed the query.
    """

    session: Session
    views: Views
    encoder_of: Callable[[GenerationInfo], EncoderProtocol]
    filters: AllowedCache
    rerankers: Rerankers
    highlighter: Highlighter

    def search(self, request: Request, reranker: Any) -> SearchResults:
        """The answer to `request`, with everything that is shown of it. Where `reranker` cannot be loaded or
        fails, the order before it stands, and a note says so.
        """
        steps = Steps()
        try:
            return self._answer(request, reranker, steps)
        except RerankingFailed as error:
            self.rerankers.forget()  # its files may have changed when it is asked for again
            answer = self._answer(request, None, steps)
            return replace(answer, notes=[*answer.notes, f"not reranked: {error}"], reranked=0)

    def _answer(self, request: Request, reranker: Any, steps: Steps) -> SearchResults:
        """
        Raises:
            RerankingFailed: the reranker cannot be loaded, or failed.
        """
        found = self._find_settled(request, reranker, steps)
        candidates, n_read, notes = found.candidates, None, [*request.notes, *found.notes]
        depth = 0
        if found.reranking is not None:
            # Once, when it is settled what was found: a limit on its time is one on the whole search.
            depth = found.reranking.depth
            with steps.step("rerank"):
                candidates, n_read = rerank_candidates(
                    request.query, candidates, found.reranking, self.highlighter
                )
            if n_read < (wanted := min(len(candidates), depth)):
                notes.append(f"time was up after {n_read} of {wanted} documents were reranked")
        with steps.step("snippets"):
            results = make_results(request.query, _page(request, candidates, depth), self.highlighter)
        return SearchResults(
            request.query,
            request.mode,
            steps.total,
            steps.milliseconds,
            results,
            found.lag,
            notes,
            n_read,
            serving=found.live.serving.id,
            seq=found.live.state.last_seq,
            offset=request.offset,
        )

    def _find_settled(self, request: Request, reranker: Any, steps: Steps) -> _Found:
        """What `_find` finds, looked for again if a document vanished in between."""
        for _ in range(ATTEMPTS):
            found = self._with_readers(lambda readers: self._find(readers, request, reranker, steps), steps)
            if not found.vanished or self.session.live().state.last_seq == found.live.state.last_seq:
                break
        return found

    def _find(self, readers: Readers, request: Request, reranker: Any, steps: Steps) -> _Found:
        """The best documents as far as a reranker may read, and those of the page."""
        live = readers.live
        reranking = self._reranking(live.serving, request, reranker, steps)
        n_read = 0 if reranking is None else reranking.depth
        allowed, table = None, None
        if request.filter is not None:
            allowed = Allowed(self.filters, request.filter.text, request.filter.node)
            with steps.step("filter"), reading(self.session.database) as connection:
                table = allowed.table(connection)
        notes = [] if allowed is None else list(allowed.notes)
        if request.seq is not None and request.seq != live.state.last_seq:
            with steps.step("filter"), reading(self.session.database) as connection:
                table = exclude_newer(connection, self.session.id, request.seq, table)
            notes.append(change_note(request.seq, live.state.last_seq))
        ranking, lag = self._rank(readers, request, max(n_read, request.last), table, steps)
        places = [n for n in range(len(ranking)) if n < n_read or n >= request.offset]
        with steps.step("fetch"):
            candidates = fetch_candidates(self.session.database, ranking, places, allowed)
        return _Found(candidates, live, reranking, lag, len(candidates) < len(places), notes)

    def _reranking(
        self, serving: ServingInfo, request: Request, model: Any, steps: Steps
    ) -> Reranking | None:
        """How to rerank by `model`, or as the serving that answers has it; None if there is nothing to do.

        Raises:
            RerankingFailed: there is no such model, it cannot be loaded, or there is nothing to ask it.
        """
        recorded = serving.reranker if model is SERVING_RERANKER else None
        if no_reranker(model) or (model is SERVING_RERANKER and not recorded):
            return None
        if request.vector is not None and not request.query.strip():
            raise RerankingFailed("a reranker reads the text of a query, and there is a vector only")
        with steps.step("load reranker"):
            reranker = (
                self.rerankers.of(model)
                if recorded is None
                else self.rerankers.recorded(recorded["name"], recorded["fingerprint"])
            )
            return Reranking(reranker, request.rerank_depth, request.rerank_budget_ms)

    def _rank(
        self, readers: Readers, request: Request, wanted: int, table: np.ndarray | None, steps: Steps
    ) -> tuple[Ranking, int]:
        """The best `wanted` documents, and how many changes behind the log a leg was."""
        if request.asks_nothing:
            return Ranking.empty(), 0
        generation = readers.live.generation
        sources = Sources(readers, lambda: self.encoder_of(generation), generation.dimension)
        legs = make_legs(sources, request, steps)
        weights = weights_of(readers.live.serving.ranking)
        return rank(legs, wanted, table, steps, weights), max(leg.lag for leg in legs)

    def evaluate(
        self, queries: Queries, qrels: Qrels, request: Request, table: np.ndarray | None, reranker: Any
    ) -> EvaluationReport:
        """IR metrics of the ranking of each judged query, over the documents that `table` allows. `request`
        says how each query is asked.

        Raises:
            RerankingFailed: the reranker cannot be loaded, or failed.
        """

        def measure(readers: Readers) -> EvaluationReport:
            reranking = self._reranking(readers.live.serving, request, reranker, Steps())
            depth = DEPTH if reranking is None else max(DEPTH, reranking.depth)

            def rank_ids(query: str) -> Sequence[str]:
                asked = request.with_query(query)
                ranking, _ = self._rank(readers, asked, depth, table, Steps())
                if reranking is None:
                    return self._ids(ranking)
                found = fetch_candidates(self.session.database, ranking, range(len(ranking)), None)
                found, _ = rerank_candidates(asked.query, found, reranking, self.highlighter)
                return [candidate.document.id for candidate in found]

            report = evaluate_rankings(rank_ids, queries, qrels, request.mode)
            if reranking is None:
                return report
            return replace(report, rerank=reranking.reranker.name, rerank_depth=reranking.depth)

        return self._with_readers(measure, Steps())

    def _ids(self, ranking: Ranking) -> list[str]:
        """The ids of a ranking's documents, best first: all that an evaluation needs."""
        keys = ranking.documents.tolist()
        with reading(self.session.database) as connection:
            ids = document_ids(connection, keys)
        return [ids[key] for key in keys if key in ids]

    def _with_readers(self, use: Callable[[Readers], T], steps: Steps) -> T:
        """`use` of the views as they are now; of new ones if a snapshot is damaged, or gone because another
        process has just replaced it.
        """
        for _ in range(ATTEMPTS - 1):
            try:
                return use(self._readers(steps))
            except CorruptView:
                with self.session.lock:
                    self.views.examine(self.session.live())
        return use(self._readers(steps))

    def _readers(self, steps: Steps) -> Readers:
        with steps.step("open"), self.session.lock:
            return self.views.readers(self.session.live())


def _page(request: Request, candidates: Sequence[Candidate], n_read: int) -> Sequence[Candidate]:
    """Those that the request wants, of candidates whose first `n_read` places were fetched to be read."""
    before = min(request.offset, sum(candidate.place < n_read for candidate in candidates))
    return candidates[before : before + request.k]
