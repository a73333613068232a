"""The models that a service lends to programs which know how to ask for vectors and for a better order.

A request names a model, and nothing is loaded because of that: lent are the bundled ones, those that the
collections of the home are served with, and what whoever runs the service lists.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from app.errors import NotFound
from app.facade.caller import Caller, require
from app.settings import Location, reranker_from_environment
from indexing import Collection
from indexing.documents.model import storable_text
from indexing.errors import BadInput, IndexingError
from indexing.listing import list_collections
from indexing.models.encoders import is_object_mark, load_encoder
from indexing.models.rerankers import load_reranker
from indexing.names import BUNDLED_MODEL, BUNDLED_RERANKER, NO_MODEL, TOKENS_RERANKER
from indexing.search.rerank import WINDOW, read_scores
from stlib.util.forks import ThreadLock

if TYPE_CHECKING:
    from stlib.runtime import EncoderProtocol, RerankerProtocol

__all__ = [
    "LONGEST_DOCUMENT",
    "MOST_DOCUMENTS",
    "MOST_TEXTS",
    "Embedded",
    "LentModel",
    "LentModels",
    "RankedTexts",
]

MOST_TEXTS = 2048
"""Of one request for vectors, as with others who answer such requests."""
MOST_DOCUMENTS = 1000
"""Of one request for an order: each is read, and the caller waits."""

EMBEDDING, RERANKER = "embedding", "reranker"

# A longer document is read in parts, of which the best counts; so many, and no more of it is read.
_MOST_PARTS = 8
LONGEST_DOCUMENT = _MOST_PARTS * WINDOW
"""Characters of a document that are read for an order."""
_CHARACTERS_PER_TOKEN = 4
_LONGEST_QUERY = 20_000
_LOOK_SECONDS = 10.0


@dataclass(frozen=True)
class LentModel:
    """`kind` is "embedding" or "reranker"; `dimension` of the vectors is None where it is not known.
    `collection` is one that is served with it; empty for what is listed.
    """

    id: str
    kind: str
    dimension: int | None = None
    fingerprint: str = ""
    collection: str = ""


@dataclass(frozen=True)
class Embedded:
    """Vectors of length 1, float32 [n, d], and how many tokens the texts have."""

    model: str
    vectors: np.ndarray
    tokens: int


@dataclass(frozen=True)
class RankedTexts:
    """Positions of documents, the best first, each with its relevance from 0 to 1."""

    model: str
    order: list[tuple[int, float]]
    tokens: int


class LentModels:
    """What is lent in one process. Threads may share it.

    `collection` opens one by its name, and keeps it. `models` and `rerankers` are folders or names that
    whoever runs the service lists; one more reranker is the one that `STLIB_RERANK` names.
    """

    def __init__(
        self,
        location: Location,
        collection: Callable[[str], Collection],
        models: Sequence[str] = (),
        rerankers: Sequence[str] = (),
    ) -> None:
        self._location = location
        self._collection = collection
        self._encoder_sources = {_shown_name(one): one for one in (*models, BUNDLED_MODEL)}
        configured = reranker_from_environment()
        given = (one for one in (configured, *rerankers, BUNDLED_RERANKER) if one and one != TOKENS_RERANKER)
        self._reranker_sources = {_shown_name(one): one for one in given}
        self._encoders: dict[str, EncoderProtocol] = {}
        self._rerankers: dict[str, RerankerProtocol] = {}
        self._models: list[LentModel] = []  # of collections
        self._looked = -_LOOK_SECONDS
        self._lock = ThreadLock()

    def all(self, caller: Caller) -> list[LentModel]:
        """Those that a caller may use, each name once; one of several models that share a name has the
        beginning of its fingerprint behind it.

        Raises:
            NotAllowed: the caller may not search.
        """
        require(caller, "search")
        held = self._encoders
        listed = [
            LentModel(name, EMBEDDING, held[name].dimension if name in held else None)
            for name in self._encoder_sources
        ]
        rerankers = [LentModel(name, RERANKER) for name in self._reranker_sources]
        return [*listed, *self._of_collections(caller), *rerankers]

    def embed(
        self,
        caller: Caller,
        name: str,
        texts: Sequence[str],
        *,
        dimensions: int | None = None,
        query: bool = False,
    ) -> Embedded:
        """Vectors of `texts` by the model of this name: as documents are embedded, or as a `query` is. With
        `dimensions` only so many of the first numbers are kept, and made a vector of length 1 again.

        Raises:
            NotAllowed: the caller may not search.
            NotFound: it is not lent.
            BadInput: no text, an empty one, too many, or a width that the model has not.
        """
        encoder = self._encoder_of(caller, name)
        _check_texts(texts)
        if dimensions is not None and not 1 <= dimensions <= encoder.dimension:
            raise BadInput(
                f"dimensions = {dimensions}: vectors of {name} have {encoder.dimension}; give 1 to"
                f" {encoder.dimension}"
            )
        clean = [storable_text(text) for text in texts]
        encode = encoder.encode_query if query else encoder.encode_document
        vectors = encode(clean, truncate_dim=dimensions, normalize_embeddings=True)
        return Embedded(name, np.ascontiguousarray(vectors, np.float32), _count_tokens(encoder, clean))

    def rerank(
        self,
        caller: Caller,
        name: str,
        query: str,
        documents: Sequence[str],
        *,
        best: int | None = None,
        tokens: int | None = None,
    ) -> RankedTexts:
        """The order of `documents` as answers to `query`, the best first, or only the `best` so many. Of each
        about so many `tokens` are read at most.

        Raises:
            NotAllowed: the caller may not search.
            NotFound: it is not lent.
            BadInput: nothing is asked, no document, or too many.
            RerankingFailed: the reranker failed.
        """
        reranker = self._reranker_of(caller, name)
        query = storable_text(query)[:_LONGEST_QUERY]
        if not query.strip():
            raise BadInput("the query is empty: say what the documents should answer")
        if not 1 <= len(documents) <= MOST_DOCUMENTS:
            raise BadInput(
                f"{len(documents):,} documents: give 1 to {MOST_DOCUMENTS:,}, more in several requests"
            )
        if best is not None and best < 1:
            raise BadInput(f"top_n = {best}: give 1 or more")
        parts = [_parts(storable_text(document[:LONGEST_DOCUMENT]), tokens) for document in documents]
        flat = [part for some in parts for part in some]
        scores = read_scores(reranker, query, flat)
        ends = np.cumsum([len(some) for some in parts])[:-1]
        # Float64: close to 1 the relevance of two good answers would be the same number.
        logits = np.asarray([part.max() for part in np.split(scores, ends)], np.float64)
        order = np.argsort(-logits, kind="stable")[:best]
        words = sum(len(text.split()) for text in flat)
        return RankedTexts(name, [(int(at), float(_relevance(logits[at]))) for at in order], words)

    def _encoder_of(self, caller: Caller, name: str) -> EncoderProtocol:
        require(caller, "search")
        if name in self._encoder_sources:
            with self._lock:
                if name not in self._encoders:
                    source = self._encoder_sources[name]
                    self._encoders[name] = load_encoder(None if source == BUNDLED_MODEL else source)
                return self._encoders[name]
        for _ in range(2):
            lent = next((one for one in self._of_collections(caller) if one.id == name), None)
            if lent is None:
                break
            encoder = self._collection(lent.collection).encoder
            if encoder.fingerprint == lent.fingerprint:
                return encoder
            self._looked = -_LOOK_SECONDS  # another serving became live meanwhile
        raise self._unknown(caller, name, EMBEDDING)

    def _reranker_of(self, caller: Caller, name: str) -> RerankerProtocol:
        require(caller, "search")
        if name not in self._reranker_sources:
            raise self._unknown(caller, name, RERANKER)
        with self._lock:
            if name not in self._rerankers:
                self._rerankers[name] = load_reranker(self._reranker_sources[name])
            return self._rerankers[name]

    def _unknown(self, caller: Caller, name: str, kind: str) -> NotFound:
        known = ", ".join(one.id for one in self.all(caller) if one.kind == kind) or "none"
        return NotFound(
            f"no {kind} model {name[:100]!r} is lent here, and none is loaded because a request names it;"
            f" there are: {known}"
        )

    def _of_collections(self, caller: Caller) -> list[LentModel]:
        """The models of the live servings of the collections that a caller may use, without those whose name
        is listed already.
        """
        found: dict[str, LentModel] = {}
        for one in self._served():
            if caller.may_use(one.collection) and one.id not in self._encoder_sources:
                found.setdefault(one.fingerprint, one)
        return _tell_apart(list(found.values()))

    def _served(self) -> list[LentModel]:
        """The model of each collection, as it was some seconds ago at most: each look takes milliseconds."""
        with self._lock:
            if time.monotonic() >= self._looked + _LOOK_SECONDS:
                names = list_collections(**self._location.arguments()).names
                self._models = [one for name in names if (one := _served_by(self._location, name))]
                self._looked = time.monotonic()
            return self._models


def _served_by(location: Location, name: str) -> LentModel | None:
    """The model that a collection is served with; None where nothing loads one."""
    try:
        with Collection.open(name, **location.arguments()) as collection:
            live = next(one for one in collection.servings() if one.live)
            made = next(one for one in collection.generations() if one.id == live.generation)
    except (IndexingError, StopIteration):  # deleted meanwhile, or damaged: others are lent still
        return None
    if made.fingerprint == NO_MODEL or is_object_mark(made.model):
        return None
    return LentModel(_shown_name(made.model), EMBEDDING, made.dimension, made.fingerprint, name)


def _tell_apart(lent: list[LentModel]) -> list[LentModel]:
    names = [one.id for one in lent]
    return [
        one if names.count(one.id) == 1 else replace(one, id=f"{one.id}@{one.fingerprint[:12]}")
        for one in lent
    ]


def _shown_name(model: str) -> str:
    """A model as others may see it: where it lies on this machine is no matter of theirs."""
    return Path(model).name if Path(model).is_absolute() or Path(model).is_dir() else model


def _check_texts(texts: Sequence[str]) -> None:
    if not 1 <= len(texts) <= MOST_TEXTS:
        raise BadInput(f"{len(texts):,} texts: give 1 to {MOST_TEXTS:,}, more in several requests")
    for number, text in enumerate(texts):
        if not text:
            raise BadInput(f"text {number} is empty: leave it out, as it says nothing")


def _count_tokens(encoder: Any, texts: list[str]) -> int:
    if hasattr(encoder, "token_counts"):
        return int(np.sum(encoder.token_counts(texts)))
    return sum(len(spans) for spans in encoder.token_spans(texts))


def _parts(document: str, tokens: int | None) -> list[str]:
    """What is read of a document: parts that a reranker reads whole, at least one."""
    most = LONGEST_DOCUMENT if tokens is None else max(1, tokens) * _CHARACTERS_PER_TOKEN
    text = document[: min(most, LONGEST_DOCUMENT)]
    return [text[start : start + WINDOW] for start in range(0, max(1, len(text)), WINDOW)]


def _relevance(logit: float) -> float:
    """From 0 to 1, rising with what the reranker says."""
    return float(1 / (1 + np.exp(-np.clip(logit, -700, 700))))
