"""From a request to an answer: filter ▸ legs ▸ fuse ▸ fetch ▸ look again if the collection changed ▸ rerank ▸
snippets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
from sqlalchemy import Connection

from indexing.catalog.database import reading
from indexing.catalog.generations import GenerationInfo
from indexing.catalog.reads import document_ids
from indexing.errors import CorruptView, IndexingError, RerankingFailed
from indexing.evaluation import DEPTH, EvaluationReport, Qrels, Queries, evaluate_rankings
from indexing.models.rerankers import Rerankers, by_tokens, no_reranker
from indexing.names import SERVING_RERANKER
from indexing.search.allowed import Allowed, AllowedCache
from indexing.search.artifacts import SettingsCache
from indexing.search.candidates import Candidate, fetch_candidates, make_results, rerank_candidates
from indexing.search.features import Extras
from indexing.search.filters import parse_filter
from indexing.search.interleave import interleave
from indexing.search.legs import Sources, make_legs
from indexing.search.pages import change_note, exclude_newer
from indexing.search.ranking import More, Ranking, rank
from indexing.search.request import Request
from indexing.search.rerank import Reranking
from indexing.search.results import SearchResults
from indexing.search.settings import SearchSettings
from indexing.search.snippets import Highlighter
from indexing.search.timing import Steps, Tell
from indexing.search.token_reranker import make_token_reranker
from indexing.search.watching import watching
from indexing.search.weakness import weakness
from indexing.session import Live, Session
from indexing.views.manager import Readers, Views
from stlib.runtime import EncoderProtocol

__all__ = ["Ranked", "Searcher", "check_readers"]

T = TypeVar("T")

# How often a search looks again when the collection changes under it.
ATTEMPTS = 3


@dataclass(frozen=True)
class Ranked:
    """An order of documents. `lag`: committed changes that a leg's index had not followed. `weak`: why it is
    no good answer, in a sentence; None where nothing says so.
    """

    ranking: Ranking
    lag: int = 0
    weak: str | None = None


@dataclass(frozen=True)
class _Found:
    """Candidates of one state of the collection: those a reranker may read, then those of the page.

    Attributes:
        live: that state.
        reranking: how to go on with them; None if they stay as they are.
        ranked: what they were taken from.
        vanished: a document was deleted, or changed and matched no more, while it was fetched.
        notes: on the filter.
    """

    candidates: list[Candidate]
    live: Live
    reranking: Reranking | None
    ranked: Ranked
    vanished: bool
    notes: list[str]


@dataclass(frozen=True)
class Searcher:
    """What one call needs to look into a collection that others may be changing meanwhile.

    Attributes:
        encoder_of: the model of a generation; called only for legs that embed the query.
        beside_of: its model of a role, see `indexing.names.ROLES`.
        settings: of servings.
    """

    session: Session
    views: Views
    encoder_of: Callable[[GenerationInfo], EncoderProtocol]
    beside_of: Callable[[GenerationInfo, str], Any]
    filters: AllowedCache
    rerankers: Rerankers
    highlighter: Highlighter
    settings: SettingsCache

    def search(
        self, request: Request, reranker: Any, serving: int | None = None, seed: str = ""
    ) -> SearchResults:
        """The answer to `request`, with everything that is shown of it. Where `reranker` cannot be loaded or
        fails, the order before it stands, and a note says so.

        `serving` answers; None is the live one, beside which another answers while it is tried: then the two
        are interleaved, by a draw that question and `seed` decide.
        """
        with watching(self.session.name, request) as watched:
            tell = None if watched is None else watched.step
            answer = self._search(request, reranker, serving, seed, tell)
            if watched is not None:
                watched.results = answer
            return answer

    def _search(
        self, request: Request, reranker: Any, serving: int | None, seed: str, tell: Tell | None
    ) -> SearchResults:
        """The same, telling its steps to `tell`."""
        live, answer = self._answer_safely(request, reranker, serving, tell)
        tried = live.state.trial_serving
        if serving is not None or tried is None or tried == live.serving.id:
            return answer
        # Both whole, as a page of the one is no page of both.
        whole = replace(request, offset=0, k=request.last)
        try:
            _, other = self._answer_safely(whole, reranker, tried, tell)
        except IndexingError as error:  # dropped meanwhile, or damaged: what is live answers alone
            return replace(answer, notes=[*answer.notes, f"serving {tried} is tried and fails: {error}"])
        if request.offset:
            _, answer = self._answer_safely(whole, reranker, live.serving.id, tell)
        return interleave(answer, other, request.offset, request.k, seed)

    def _answer_safely(
        self, request: Request, reranker: Any, serving: int | None, tell: Tell | None
    ) -> tuple[Live, SearchResults]:
        """The answer, without a reranker where that fails, and what gave it."""
        steps = Steps(tell)
        try:
            return self._answer(request, reranker, serving, steps)
        except RerankingFailed as error:
            self.rerankers.forget()  # its files may have changed when it is asked for again
            live, answer = self._answer(request, None, serving, steps)
            notes = [*answer.notes, f"not reranked: {error}"]
            return live, replace(answer, notes=notes, reranked=0, stopped="not reranked: the reranker failed")

    def _answer(
        self, request: Request, reranker: Any, serving: int | None, steps: Steps
    ) -> tuple[Live, SearchResults]:
        """
        Raises:
            RerankingFailed: the reranker cannot be loaded, or failed.
        """
        found = self._find_settled(request, reranker, serving, steps)
        candidates, n_read, notes = found.candidates, None, [*request.notes, *found.notes]
        stopped = None
        depth = 0
        if found.reranking is not None:
            # Once, when it is settled what was found: a limit on its time is one on the whole search.
            depth = found.reranking.depth
            with steps.step("rerank"):
                candidates, n_read = rerank_candidates(
                    request.query, candidates, found.reranking, self.highlighter
                )
            if n_read < (wanted := min(len(candidates), depth)):
                stopped = f"time was up after {n_read} of {wanted} documents were reranked"
                notes.append(stopped)
        with steps.step("snippets"):
            results = make_results(request.query, _page(request, candidates, depth), self.highlighter)
        answer = SearchResults(
            request.query,
            request.mode,
            steps.total,
            steps.milliseconds,
            results,
            found.ranked.lag,
            notes,
            n_read,
            serving=found.live.serving.id,
            seq=found.live.state.last_seq,
            offset=request.offset,
            weak=found.ranked.weak,
            stopped=stopped,
        )
        return found.live, answer

    def _find_settled(self, request: Request, reranker: Any, serving: int | None, steps: Steps) -> _Found:
        """What `_find` finds, looked for again if a document vanished in between."""
        for _ in range(ATTEMPTS):
            found = self.with_readers(
                lambda readers: self._find(readers, request, reranker, steps), steps, serving
            )
            if not found.vanished or self.session.live().state.last_seq == found.live.state.last_seq:
                break
        return found

    def _find(self, readers: Readers, request: Request, reranker: Any, steps: Steps) -> _Found:
        """The best documents as far as a reranker may read, and those of the page."""
        live = readers.live
        settings = self.settings.of(live)
        reranking = self.reranking(live.generation, settings, request, reranker, steps)
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
        if (behind := live.state.last_seq - live.generation.followed_seq) > 0 and not self._is_live(live):
            notes.append(f"serving {live.serving.id} has yet to follow the last {behind:,} changes")
        wanted = max(n_read, request.last)
        told: dict[str, None] = {}  # each once, though a leg may look again for more
        ranked = self.rank(readers, settings, request, wanted, table, steps, told.setdefault)
        notes += told
        ranking = ranked.ranking
        places = [n for n in range(len(ranking)) if n < n_read or n >= request.offset]
        with steps.step("fetch"):
            candidates = fetch_candidates(self.session.database, ranking, places, allowed)
        return _Found(candidates, live, reranking, ranked, len(candidates) < len(places), notes)

    @staticmethod
    def _is_live(live: Live) -> bool:
        return live.serving.id == live.state.live_serving

    def reranking(
        self,
        generation: GenerationInfo,
        settings: SearchSettings,
        request: Request,
        model: Any,
        steps: Steps,
    ) -> Reranking | None:
        """How to rerank what `generation` finds by `model`, or as the serving that answers has it; None if
        there is nothing to do.

        Raises:
            RerankingFailed: there is no such model, it cannot be loaded, or there is nothing to ask it.
        """
        recorded = settings.reranker if model is SERVING_RERANKER else None
        if no_reranker(model) or (model is SERVING_RERANKER and not recorded):
            return None
        if request.vector is not None and not request.query.strip():
            raise RerankingFailed("a reranker reads the text of a query, and there is a vector only")
        with steps.step("load reranker"):
            reranker = self._reranker(generation, model, recorded)
            # A share that was learned is one of the reranker that the serving has.
            weight = settings.rerank_weight if recorded is not None else None
            return Reranking(reranker, request.rerank_depth, request.rerank_budget_ms, weight)

    def _reranker(self, generation: GenerationInfo, model: Any, recorded: Mapping[str, str] | None) -> Any:
        if by_tokens(model if recorded is None else recorded["name"]):
            loaded = partial(self.beside_of, generation, "tokens")
            fingerprint = None if recorded is None else recorded["fingerprint"]
            return make_token_reranker(self.session.database, generation, loaded, fingerprint)
        if recorded is None:
            return self.rerankers.of(model)
        return self.rerankers.recorded(recorded["name"], recorded["fingerprint"])

    def rank(
        self,
        readers: Readers,
        settings: SearchSettings,
        request: Request,
        wanted: int,
        table: np.ndarray | None,
        steps: Steps,
        missed: Callable[[str], None] | None = None,
    ) -> Ranked:
        """The best `wanted` documents, of those that `table` allows. `missed` as for `Sources`."""
        if request.asks_nothing:
            return Ranked(Ranking.empty())
        sources = replace(self.sources(readers, settings), missed=missed)
        legs = make_legs(sources, request, steps)
        ranking = rank(legs, wanted, table, steps, settings.weights, self.more(settings, request))
        return Ranked(ranking, max(leg.lag for leg in legs), weakness(sources, legs, ranking, request))

    def sources(self, readers: Readers, settings: SearchSettings) -> Sources:
        """What the legs of one question are made from."""
        generation = readers.live.generation
        encoder = partial(self.encoder_of, generation)
        beside = partial(self.beside_of, generation)
        return Sources(readers, self.session.database, encoder, beside, generation.dimension, settings)

    def more(self, settings: SearchSettings, request: Request) -> More | None:
        """What is added beside the legs; None if nothing is."""
        if not settings.adds:
            return None

        def allowed(connection: Connection, filter: str) -> np.ndarray:
            node = parse_filter(filter)
            assert node is not None  # settings were checked
            return self.filters.look_up(connection, filter, node)[1].table

        extras = Extras(self.session.database, request.query, settings.features, settings.boosts, allowed)
        return extras.of

    def evaluate(
        self,
        queries: Queries,
        qrels: Qrels,
        request: Request,
        table: np.ndarray | None,
        reranker: Any,
        serving: int | None = None,
    ) -> EvaluationReport:
        """IR metrics of the ranking of each judged query, over the documents that `table` allows. `request`
        says how each query is asked, `serving` what answers; None is the live one.

        Raises:
            RerankingFailed: the reranker cannot be loaded, or failed.
        """

        def measure(readers: Readers) -> EvaluationReport:
            settings = self.settings.of(readers.live)
            reranking = self.reranking(readers.live.generation, settings, request, reranker, Steps())

            def rank_ids(query: str) -> Sequence[str]:
                return self.rank_ids(readers, settings, request.with_query(query), DEPTH, table, reranking)

            report = evaluate_rankings(rank_ids, queries, qrels, request.mode)
            if reranking is None:
                return report
            return replace(report, rerank=reranking.reranker.name, rerank_depth=reranking.depth)

        return self.with_readers(measure, Steps(), serving)

    def rank_ids(
        self,
        readers: Readers,
        settings: SearchSettings,
        request: Request,
        wanted: int,
        table: np.ndarray | None,
        reranking: Reranking | None,
    ) -> list[str]:
        """The ids of the best `wanted` documents, best first, and of as many as `reranking` reads.

        Raises:
            RerankingFailed: the reranker failed.
        """
        depth = wanted if reranking is None else max(wanted, reranking.depth)
        ranking = self.rank(readers, settings, request, depth, table, Steps()).ranking
        if reranking is None or not len(ranking):
            return self._ids(ranking)
        found = fetch_candidates(self.session.database, ranking, range(len(ranking)), None)
        found, _ = rerank_candidates(request.query, found, reranking, self.highlighter)
        return [candidate.document.id for candidate in found]

    def _ids(self, ranking: Ranking) -> list[str]:
        """The ids of a ranking's documents, best first: all that an evaluation needs."""
        keys = ranking.documents.tolist()
        with reading(self.session.database) as connection:
            ids = document_ids(connection, keys)
        return [ids[key] for key in keys if key in ids]

    def with_readers(self, use: Callable[[Readers], T], steps: Steps, serving: int | None = None) -> T:
        """`use` of the views of a serving as they are now; of new ones if a snapshot is damaged, or gone
        because another process has just replaced it.
        """
        for _ in range(ATTEMPTS - 1):
            try:
                return use(self._readers(steps, serving))
            except CorruptView:
                with self.session.lock:
                    self.views.examine(self.session.live(serving))
        return use(self._readers(steps, serving))

    def _readers(self, steps: Steps, serving: int | None) -> Readers:
        with steps.step("open"), self.session.lock:
            return self.views.readers(self.session.live(serving))


def _page(request: Request, candidates: Sequence[Candidate], n_read: int) -> Sequence[Candidate]:
    """Those that the request wants, of candidates whose first `n_read` places were fetched to be read."""
    before = min(request.offset, sum(candidate.place < n_read for candidate in candidates))
    return candidates[before : before + request.k]


def check_readers(readers: Readers) -> Readers:
    """The readers, after everything that a snapshot checks on first use was checked.

    Raises:
        CorruptView: one is damaged.
    """
    for reader in (readers.vectors, readers.terms):
        if reader is not None:
            reader.ensure_whole()
    return readers
