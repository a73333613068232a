"""The ranges of a generation's codes: from a fixed sample, never from the order in which documents came.

A new collection knows nothing of its documents yet, so its model encodes the texts of `fixed_texts` once. A
reindex knows the corpus and samples that; its documents are chosen by a hash of their ids. Only vectors that
somebody brings without a model take their ranges from the first batch.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator

import numpy as np

from indexing.catalog.database import reading
from indexing.catalog.reads import chunks_of_documents, decode_rows, iterate_ids, stored_documents
from indexing.documents import ChunkSettings
from indexing.embed import Titled, cut, passages
from indexing.fixed_texts import fixed_texts
from indexing.models.encoders import normalise
from indexing.quantization import Codec, Precision
from indexing.session import Session
from stlib.runtime import EncoderProtocol

__all__ = [
    "calibrate_on_codes",
    "calibrate_on_corpus",
    "calibrate_on_first_vectors",
    "calibrate_on_fixed_texts",
    "fixed_texts",
]

SAMPLED_DOCUMENTS = 1000
BATCH_CHARACTERS = 1_000_000
# Real passages reach further than these texts. With the bundled model and bge-small, on cranfield and
# Python's documentation, 0.4 cut at most 0.005 % of the values and kept 0.991 to 0.997 of the ten nearest by
# float32; 0.2 cut 0.03 to 0.08 % and kept 0.984 to 0.996; 0.7 cut nothing and kept 0.987 to 0.996.
FIXED_MARGIN = 0.4
SMALL_SAMPLE = 1000


def calibrate_on_fixed_texts(precision: Precision, encoder: EncoderProtocol) -> Codec:
    """Ranges from what the model makes of `fixed_texts`."""
    return Codec.fit(precision, normalise(np.asarray(encoder.encode_document(fixed_texts()))), FIXED_MARGIN)


def calibrate_on_first_vectors(precision: Precision, vectors: np.ndarray) -> Codec:
    """Ranges from `vectors` [n, d], and while they are few also ±8/√d, eight standard deviations of a random
    unit vector's values: a collection may begin with a single document, whose own range would clip everything
    that follows.
    """
    if len(vectors) < SMALL_SAMPLE:
        dimension = vectors.shape[1]
        bound = np.full((1, dimension), 8 / np.sqrt(dimension), dtype=np.float32)
        vectors = np.vstack([vectors, bound, -bound])
    return Codec.fit(precision, vectors)


def calibrate_on_corpus(
    session: Session, precision: Precision, encoder: EncoderProtocol, settings: ChunkSettings
) -> Codec:
    """Ranges from passages of the collection's documents; from `fixed_texts` while there are none."""
    texts: list[str] = []
    for documents in _sampled_documents(session):
        spans = cut(documents, encoder, settings)
        texts += passages(documents, [part[len(part) // 2 :][:1] for part in spans])
    if not texts:
        return calibrate_on_fixed_texts(precision, encoder)
    return calibrate_on_first_vectors(precision, normalise(np.asarray(encoder.encode_document(texts))))


def calibrate_on_codes(
    session: Session, precision: Precision, generation_id: int, codec: Codec
) -> Codec | None:
    """Ranges from the vectors that a generation stores whole; None while there are none."""
    keys = _sampled_keys(session)
    with reading(session.database) as connection:
        chunks = chunks_of_documents(connection, generation_id, keys)
    codes = [chunks[key][len(chunks[key]) // 2][2] for key in keys if key in chunks]
    if not codes:
        return None
    rows = decode_rows(b"".join(codes), len(codes), codec)
    return calibrate_on_first_vectors(precision, codec.decode(rows))


def _sampled_documents(session: Session) -> Iterator[list[Titled]]:
    """The sampled documents, some at a time: together they may be larger than the memory."""
    batch: list[Titled] = []
    for key in _sampled_keys(session):
        with reading(session.database) as connection:
            stored = stored_documents(connection, [key])
        batch += [Titled(one.title, one.text) for one in stored.values()]
        if sum(len(one.text) for one in batch) >= BATCH_CHARACTERS:
            yield batch
            batch = []
    yield batch


def _sampled_keys(session: Session) -> list[int]:
    """Documents whose ids have the smallest hashes: the same ones in whatever order they came."""
    with reading(session.database) as connection:
        ids = iterate_ids(connection, session.id)
        chosen = heapq.nsmallest(SAMPLED_DOCUMENTS, ((_mark(id_), key) for key, id_ in ids))
    return [key for _, key in chosen]


def _mark(id_: str) -> bytes:
    return hashlib.blake2b(id_.encode("utf-8", "surrogatepass"), digest_size=8).digest()
