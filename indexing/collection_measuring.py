"""The methods of `Collection` that measure what it answers, and look at what each leg says."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from indexing.catalog.reads import keys_of_ids
from indexing.describe import describe
from indexing.evaluation import EvaluationReport
from indexing.lookup import find_documents
from indexing.names import SERVING_RERANKER
from indexing.search.allowed import key_table
from indexing.search.artifacts import SettingsCache
from indexing.search.probe import Probe
from indexing.search.request import make_request
from indexing.search.searcher import Searcher, check_readers
from indexing.search.settings import SearchSettings
from indexing.search.timing import Steps
from indexing.session import Session
from indexing.sizing.existing import Existing, measure_lengths, workload_of
from indexing.sizing.setups import Limits, Machines
from indexing.views.manager import Views

__all__ = ["MeasuringMethods"]


class MeasuringMethods:
    """A part of `Collection`, which gives it the attributes below."""

    _session: Session
    _views: Views
    _settings: SettingsCache

    def _searcher(self) -> Searcher:
        raise NotImplementedError

    def evaluate(
        self,
        queries: Mapping[str, str],
        qrels: Mapping[str, Mapping[str, int]],
        *,
        mode: str = "hybrid",
        corpus_ids: Iterable[str] | None = None,
        rerank: Any = SERVING_RERANKER,
        rerank_depth: int = 50,
        serving: int | None = None,
    ) -> EvaluationReport:
        """IR metrics of this collection: every judged query runs through the real index.

        `queries` id → text, `qrels` query id → document id → grade. `corpus_ids` restricts the search to
        these documents, for judgments that were made over a part of the collection. `rerank` and `serving` as
        for `search`; what is tried is not asked by itself.

        Raises:
            RerankingFailed: the reranker cannot be used; without it another ranking would be measured.
        """
        request = make_request("", mode=mode, rerank_depth=rerank_depth)
        started = time.perf_counter()
        with self._session.looking() as (connection, state):
            table = None
            if corpus_ids is not None:
                keys = keys_of_ids(connection, state.id, corpus_ids).values()
                table = key_table(np.asarray(sorted(keys), dtype=np.int64))
            judged = {id_ for grades in qrels.values() for id_, grade in grades.items() if grade > 0}
            missing = len(judged) - len(keys_of_ids(connection, state.id, judged))

        report = self._searcher().evaluate(queries, qrels, request, table, rerank, serving)
        return replace(report, missing_documents=missing, seconds=time.perf_counter() - started)

    def rankings(
        self,
        queries: Mapping[str, str],
        *,
        mode: str = "hybrid",
        depth: int = 10,
        serving: int | None = None,
        settings: SearchSettings | None = None,
        rerank: Any = SERVING_RERANKER,
    ) -> dict[str, list[str]]:
        """Ids of the best `depth` documents for each of `queries` (id → text), best first, all of one state
        of the collection. `settings` take the place of those of `serving`.

        Raises:
            RerankingFailed: the reranker cannot be used.
        """
        with self.probe(serving) as probe:
            return {
                id_: probe.rank(text, settings, mode=mode, depth=depth, rerank=rerank)
                for id_, text in queries.items()
            }

    @contextmanager
    def probe(self, serving: int | None = None) -> Iterator[Probe]:
        """One state of the collection as a serving sees it (None: the live one), for those who look at many
        questions and at what each leg says of them.
        """
        searcher = self._searcher()
        # The readers are whole, or made anew, before they are handed out.
        readers = searcher.with_readers(check_readers, Steps(), serving)
        settings = self._settings.of(readers.live)
        yield Probe(searcher, readers, settings, lambda ids: find_documents(self._session, ids))

    def sums(
        self,
        *,
        machines: Machines | None = None,
        limits: Limits | None = None,
        speed: float | None = None,
    ) -> Existing:
        """This collection as a workload, with the sums of `indexing.sizing` for it beside the bytes that it
        takes: what `indexing.sizing.make_plan` needs to say what another number of such documents would.
        `speed`: passages that one core embeds in a second, for a model that nobody measured.

        Raises:
            BadInput: it holds no document, or a speed is needed.
        """
        info = describe(self._session, self._views)
        with self._session.looking() as (connection, state):
            generation = self._session.read_live(connection, state).generation
            lengths = measure_lengths(connection, self._session.id)
        return workload_of(info, generation, lengths, machines or Machines(), limits or Limits(), speed)
