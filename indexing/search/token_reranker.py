"""Re-ordering by late interaction: how well the vectors of a question's tokens meet those of a passage's,
which are stored with it. Nothing of a document is read again, so that it takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sqlalchemy import Engine

from indexing.beside.models import read_beside
from indexing.beside.token_codes import TokenCodec
from indexing.catalog.beside import codes_of_passages
from indexing.catalog.database import reading
from indexing.catalog.generations import GenerationInfo
from indexing.errors import BadInput, ModelMismatch, RerankingFailed, StorageError, UntrustedModel
from indexing.names import TOKENS_RERANKER
from stlib.runtime import TokenEncoderProtocol
from stlib.util.forks import cached_property

__all__ = ["TokenReranker", "make_token_reranker"]

# Of its score. Chosen on Cranfield's train judgments: NDCG@10 0.383 without, 0.397 at 0.2, 0.407 at 0.3 and
# 0.406 at 0.4 and 0.5, by the bare transformer of answerai-colbert-small; a model made for it may earn more.
WEIGHT = 0.4
# Passages on either side of a document's best one that are read too; the best of them counts. On documents of
# six passages each (abstracts of cranfield, one behind the other) NDCG@10 is 0.524 without reranking, 0.531
# by the best one alone, 0.535 by one on either side and 0.538 by two, which take five thirds of the time.
REACH = 1


@dataclass(frozen=True)
class TokenReranker:
    """Reads the stored vectors of one generation's tokens."""

    name: ClassVar[str] = TOKENS_RERANKER
    weight: ClassVar[float] = WEIGHT

    database: Engine
    generation: int
    encoder: TokenEncoderProtocol
    codec: TokenCodec
    fingerprint: str

    def reading(self, query: str, passages: Sequence[tuple[int, int]]) -> Reading:
        """Reads documents for `query`: `passages` are the key of each, and of its best chunk, below 0 where
        no leg knows one.
        """
        return Reading(self, query, passages)


@dataclass(frozen=True)
class Reading:
    """Scores of candidates for one question, of which the vectors are made when the first is asked for."""

    reranker: TokenReranker
    query: str
    passages: Sequence[tuple[int, int]]

    def __call__(self, positions: Sequence[int]) -> np.ndarray:
        """float32 [n]: of the best passage near the best one of each. A document without any that has tokens
        counts as the least of the others does.

        Raises:
            RerankingFailed: the model failed, or the catalog is damaged.
        """
        codes = self._codes(positions)
        flat = [code for part in codes for code in part]
        try:
            scores = self.reranker.codec.scores(self._vectors, flat)
        except StorageError as error:
            raise RerankingFailed(str(error)) from error
        ends = np.cumsum([len(part) for part in codes])
        best = [_largest(part) for part in np.split(scores, ends[:-1])]
        least = min((one for one in best if not np.isnan(one)), default=0.0)
        return np.asarray([least if np.isnan(one) else one for one in best], np.float32)

    def _codes(self, positions: Sequence[int]) -> list[list[bytes]]:
        asked = [self.passages[position] for position in positions]
        with reading(self.reranker.database) as connection:
            found = codes_of_passages(connection, self.reranker.generation, dict(asked), "tokens", REACH)
        return [found.get(key, []) for key, _ in asked]

    @cached_property
    def _vectors(self) -> np.ndarray:
        """Of the question's tokens, float32 [q, d]."""
        encoder, dimension = self.reranker.encoder, self.reranker.codec.dimension
        try:
            vectors = np.asarray(encoder.encode_query([self.query])[0], np.float32)
        except Exception as error:  # any model may run here; a search must survive it
            reason = " ".join(str(error).split())
            raise RerankingFailed(f"{encoder.name} failed: {type(error).__name__}: {reason}") from error
        if vectors.ndim != 2 or vectors.shape[1] != dimension or not np.isfinite(vectors).all():
            raise RerankingFailed(
                f"{encoder.name} gave vectors of shape {list(vectors.shape)} for a question, or some that are"
                f" no numbers; it gives finite ones, [tokens, {dimension}]"
            )
        return vectors


def make_token_reranker(
    database: Engine,
    generation: GenerationInfo,
    load: Callable[[], TokenEncoderProtocol],
    fingerprint: str | None = None,
) -> TokenReranker:
    """What reads the vectors of tokens that `generation` has; `load` gives their model. `fingerprint` is of
    the model that a serving names; None takes what there is.

    Raises:
        RerankingFailed: there are none, they are of another model, or it may not be opened or cannot be
            loaded.
    """
    model = read_beside(generation.beside).get("tokens")
    if model is None:
        raise RerankingFailed(
            "the collection has no vectors of tokens to rerank by: reindex it with tokens=MODEL, or --tokens"
        )
    if fingerprint not in (None, model.fingerprint):
        raise RerankingFailed(
            f"vectors of tokens by the model of fingerprint {str(fingerprint)[:12]} were chosen to rerank by,"
            f" and the generation has those of {model.fingerprint[:12]}: choose anew with reranker="
            f"{TOKENS_RERANKER!r}, or --reranker {TOKENS_RERANKER}"
        )
    try:
        encoder = load()
        codec = TokenCodec.from_settings(model.settings, model.dimension)
    except (BadInput, ModelMismatch, UntrustedModel, StorageError) as error:
        raise RerankingFailed(str(error)) from error
    return TokenReranker(database, generation.id, encoder, codec, model.fingerprint)


def _largest(scores: np.ndarray) -> float:
    """Of a document's passages, NaN where none has tokens."""
    known = scores[~np.isnan(scores)]
    return float(known.max()) if len(known) else float("nan")
