"""The ranges of a generation's codes: from a fixed sample, never from the order in which documents came.

A new collection knows nothing of its documents yet, so its model encodes the texts of `fixed_texts` once. A
reindex knows the corpus and samples that; its documents are chosen by a hash of their ids. Only vectors that
somebody brings without a model take their ranges from the first batch.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator
from functools import cache

import numpy as np

from indexing.catalog.database import reading
from indexing.catalog.reads import chunks_of_documents, decode_rows, iterate_ids, stored_documents
from indexing.documents import ChunkSettings
from indexing.embed import Titled, cut, passages
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
TEXTS = 256
# Real passages reach further than these texts. With the bundled model and bge-small, on cranfield and
# Python's documentation, 0.4 cut at most 0.005 % of the values and kept 0.991 to 0.997 of the ten nearest by
# float32; 0.2 cut 0.03 to 0.08 % and kept 0.984 to 0.996; 0.7 cut nothing and kept 0.987 to 0.996.
FIXED_MARGIN = 0.4
SMALL_SAMPLE = 1000

# Words of many fields: what counts is that together they stretch a model's dimensions as real texts do.
_WORDS = """
water river ocean rain snow storm desert forest mountain valley island harbor bridge tunnel road railway
airport ship engine wheel brake battery motor turbine wing pressure velocity temperature heat flow boundary
shock beam bolt steel iron copper gold glass wood paper cotton wool leather plastic rubber cement brick
house kitchen garden window door roof floor bed chair table lamp clock knife spoon cup bottle bread milk
cheese butter egg meat fish chicken rice potato tomato onion garlic pepper salt sugar honey coffee tea wine
beer soup cake apple orange lemon grape banana cherry wheat corn bean seed flower tree leaf root soil farm
horse cow pig sheep dog cat mouse bird eagle owl bee ant spider snake frog whale shark salmon lion tiger bear
wolf elephant monkey child mother father brother sister friend neighbour teacher student doctor nurse patient
lawyer judge police soldier king queen president minister senator mayor engineer farmer artist painter poet
singer actor dancer writer editor reporter player coach team match goal race medal football tennis chess music
guitar piano violin drum song opera film theatre novel poem letter newspaper magazine photograph painting
statue museum church temple prayer saint angel war peace army weapon treaty border empire revolution election
vote law court crime prison contract tax bank money price market trade company factory worker union salary
insurance budget debt profit stock school university lesson exam book library language grammar alphabet
dictionary sentence word number equation algebra geometry triangle circle proof theorem probability statistics
matrix vector function computer program file folder list string integer loop thread process memory network
server client password email website database query index search sort error exception message module package
install update version keyboard screen printer camera telephone radio television satellite rocket planet moon
star galaxy gravity light energy atom electron molecule acid metal crystal laser magnet cell gene protein
virus bacteria vaccine blood heart lung brain bone muscle skin eye ear tooth cancer fever pain drug surgery
hospital diet sleep exercise birth death marriage wedding funeral festival holiday travel hotel ticket map
passport village city capital street park beach hill lake spring summer autumn winter morning evening night
century history ancient modern north south east west red blue green yellow black white small large fast slow
young old new cold warm hard soft bright dark loud quiet strong weak rich poor happy sad angry afraid open
close begin end buy sell build break write read speak listen think remember forget learn teach win lose give
take send receive push pull carry cut cook eat drink wash sleep walk run jump swim fly drive ride climb fall
grow burn freeze melt measure compare
"""
_JOINTS = "the of and in to with for by from on at about after before between without".split()
_LENGTHS = (1, 2, 3, 5, 8, 12, 20, 40)


@cache
def fixed_texts() -> tuple[str, ...]:
    """The same texts on every machine: runs of neighbouring and of distant words, from one word to forty."""
    words = _WORDS.split()
    state = 1
    texts = []
    for number in range(TEXTS):
        row = []
        at = 0
        for position in range(_LENGTHS[number % len(_LENGTHS)]):
            state = state * 1664525 + 1013904223 & 0xFFFFFFFF  # Knuth's linear congruence, as in ranqd1
            if position % 6 == 0:
                at = (state >> 8) % len(words)
            elif position % 2:
                row.append(_JOINTS[(state >> 8) % len(_JOINTS)])
                continue
            else:
                at = (at + 1 + (state >> 8) % 3) % len(words)
            row.append(words[at])
        texts.append(" ".join(row))
    return tuple(texts)


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
