"""Looking into one state of a collection: what each leg says of documents, for those who learn from
judgments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from indexing.catalog.database import reading
from indexing.catalog.generations import GenerationInfo
from indexing.catalog.reads import document_ids, keys_of_ids
from indexing.catalog.stored import StoredDocument
from indexing.errors import BadInput
from indexing.models.encoders import normalise
from indexing.names import DEFAULT_MODE, DEFAULT_RERANK_DEPTH, FEATURES, SERVING_RERANKER, TOKENS_RERANKER
from indexing.search.candidates import fetch_candidates, windows_of
from indexing.search.features import Features
from indexing.search.legs import make_legs
from indexing.search.ranking import FIRST_DEPTH, score_all
from indexing.search.request import Request, make_request
from indexing.search.searcher import Searcher
from indexing.search.settings import SearchSettings
from indexing.search.timing import Steps
from indexing.search.token_reranker import TokenReranker
from indexing.views.manager import Readers

__all__ = ["Probe", "ToRead", "Trace"]


@dataclass(frozen=True)
class Trace:
    """What is known of n documents for one question.

    Attributes:
        ids: of the documents.
        legs: their names.
        scores: what each leg says, float32 [legs, n].
        shares: what each leg adds to the fused score at weight 1, float64 [legs, n]: with weights `w` and
            weights of features `f` that score is `w @ shares + f @ features`, but for boosts.
        scales: centre and spread of each leg's scores over the collection, float64 [legs, 2].
        found: whether the leg had it among its own best, bool [legs, n].
        features: name → float64 [n], see `indexing.search.features`.
        boosts: what the boosts of the settings add, float64 [n].
    """

    ids: list[str]
    legs: tuple[str, ...]
    scores: np.ndarray
    shares: np.ndarray
    scales: np.ndarray
    found: np.ndarray
    features: dict[str, np.ndarray]
    boosts: np.ndarray


@dataclass(frozen=True)
class ToRead:
    """What a reranker reads for one question: of each of n documents, best first, the id, the score of the
    retrieval (`retrieved` float32 [n]), and its windows, of which the best one counts.
    """

    ids: list[str]
    retrieved: np.ndarray
    windows: list[list[str]]


@dataclass(frozen=True)
class Probe:
    """One state of a collection, held for as long as the probe is used: what others add meanwhile is not
    seen.

    Attributes:
        serving_id: what is looked at.
        settings: of that serving.
    """

    searcher: Searcher
    readers: Readers
    settings: SearchSettings
    find_stored: Callable[[Iterable[str]], dict[str, StoredDocument]]

    @property
    def serving_id(self) -> int:
        return self.readers.live.serving.id

    @property
    def generation(self) -> GenerationInfo:
        return self.readers.live.generation

    @property
    def seq(self) -> int:
        """Where the log stood."""
        return self.readers.live.state.last_seq

    def encode(self, questions: Sequence[str]) -> np.ndarray:
        """Vectors of questions by the generation's own model, without the serving's head: float32 [n, d] of
        length 1.
        """
        asked = [make_request(question).query for question in questions]
        return normalise(self.searcher.encoder_of(self.generation).encode_query(asked))

    def trace(
        self,
        question: str,
        *,
        vector: np.ndarray | None = None,
        settings: SearchSettings | None = None,
        mode: str = DEFAULT_MODE,
        depth: int = FIRST_DEPTH,
        include: Iterable[str] = (),
    ) -> Trace:
        """The best `depth` documents of each leg, and those of `include` that exist, as every leg sees them.

        `vector` float32 [d] stands for the question as it is: no head is applied to it. `settings` take the
        place of the serving's. Documents come in the order of their keys.
        """
        settings = self.settings if settings is None else settings
        request = make_request(question, mode=mode, vector=vector)
        legs = make_legs(self.searcher.sources(self.readers, settings), request, Steps())
        with reading(self.searcher.session.database) as connection:
            keys = keys_of_ids(connection, self.readers.live.state.id, include)
        found = [leg.find(depth, None) for leg in legs]
        scored = score_all(legs, found, {}, np.asarray(sorted(keys.values()), np.int64))
        documents = scored.documents
        with reading(self.searcher.session.database) as connection:
            ids = document_ids(connection, documents.tolist())
            features = Features(connection, request.query).of(documents, list(FEATURES))
        there = np.asarray([key in ids for key in documents.tolist()], bool)
        shown = documents[there]
        scores = np.stack([hits.scores for hits in scored.hits])
        return Trace(
            [ids[key] for key in shown.tolist()],
            tuple(leg.name for leg in legs),
            scores[:, there],
            scored.shares[:, there],
            np.asarray([leg.scale() for leg in legs], np.float64),
            np.stack([np.isin(shown, hits.documents) for hits in found]),
            {name: values[there] for name, values in features.items()},
            self._boosts(settings, request, shown),
        )

    def _boosts(self, settings: SearchSettings, request: Request, documents: np.ndarray) -> np.ndarray:
        more = self.searcher.more(replace(settings, features={}), request)
        rows = [] if more is None else list(more(documents).values())
        return np.sum(rows, axis=0) if rows else np.zeros(len(documents))

    def rank(
        self,
        question: str,
        settings: SearchSettings | None = None,
        *,
        mode: str = DEFAULT_MODE,
        depth: int = FIRST_DEPTH,
        rerank: Any = SERVING_RERANKER,
    ) -> list[str]:
        """Ids of the best `depth` documents, best first, as a search by a serving with `settings` has them,
        its reranker included.

        Raises:
            RerankingFailed: the reranker cannot be loaded, or failed.
        """
        settings = self.settings if settings is None else settings
        request = make_request(question, mode=mode)
        reranking = self.searcher.reranking(self.generation, settings, request, rerank, Steps())
        ids = self.searcher.rank_ids(self.readers, settings, request, depth, None, reranking)
        return ids[:depth]

    def to_read(
        self,
        question: str,
        settings: SearchSettings | None = None,
        *,
        mode: str = DEFAULT_MODE,
        depth: int = DEFAULT_RERANK_DEPTH,
    ) -> ToRead:
        """What a search by a serving with `settings` has its reranker read: the best `depth` documents."""
        settings = self.settings if settings is None else settings
        request = make_request(question, mode=mode)
        ranking = self.searcher.rank(self.readers, settings, request, depth, None, Steps()).ranking
        found = fetch_candidates(
            self.searcher.session.database, ranking, range(min(depth, len(ranking))), None
        )
        words = self.searcher.highlighter.query(request.query)
        return ToRead(
            [candidate.document.id for candidate in found],
            np.asarray([candidate.score for candidate in found], np.float32),
            [windows_of(candidate, words) for candidate in found],
        )

    def token_scores(
        self,
        question: str,
        settings: SearchSettings | None = None,
        *,
        mode: str = DEFAULT_MODE,
        depth: int = DEFAULT_RERANK_DEPTH,
    ) -> np.ndarray:
        """What the vectors of tokens say of the documents of `to_read`, float32 [n] in their order.

        Raises:
            RerankingFailed: the generation has none, or their model cannot be used.
        """
        settings = self.settings if settings is None else settings
        request = make_request(question, mode=mode, rerank_depth=depth)
        ranking = self.searcher.rank(self.readers, settings, request, depth, None, Steps()).ranking
        found = fetch_candidates(
            self.searcher.session.database, ranking, range(min(depth, len(ranking))), None
        )
        reranking = self.searcher.reranking(self.generation, settings, request, TOKENS_RERANKER, Steps())
        assert reranking is not None
        assert isinstance(reranking.reranker, TokenReranker)
        passages = [(candidate.document.key, candidate.chunk) for candidate in found]
        return reranking.reranker.reading(request.query, passages)(range(len(found)))

    def vectors(self, ids: Iterable[str]) -> dict[str, np.ndarray]:
        """The passages of documents as their stored codes have them: id → float32 [passages, d] of about
        length 1. Documents without passages, and those that do not exist, are left out.

        Raises:
            BadInput: the collection has no vectors yet.
        """
        if self.readers.vectors is None:
            raise BadInput("there are no vectors yet: add documents first")
        with reading(self.searcher.session.database) as connection:
            keys = keys_of_ids(connection, self.readers.live.state.id, ids)
        documents = np.asarray(sorted(keys.values()), np.int64)
        owners, vectors = self.readers.vectors.passages_of(documents)
        ends = np.searchsorted(owners, np.arange(len(documents) + 1))
        rows = {key: vectors[ends[at] : ends[at + 1]] for at, key in enumerate(documents.tolist())}
        return {id_: rows[key] for id_, key in keys.items() if len(rows[key])}

    def spreads(self, vectors: np.ndarray) -> np.ndarray:
        """The scale of the semantic leg for `vectors` float32 [n, d] of length 1: centre and spread of their
        cosines over all documents, from a sample, float64 [n, 2].
        """
        if self.readers.vectors is None:
            return np.zeros((len(vectors), 2))
        return self.readers.vectors.statistics_of(vectors)

    def texts(self, ids: Iterable[str]) -> dict[str, StoredDocument]:
        """Documents as they are now, by id."""
        return self.find_stored(ids)
