"""Checking what passages have beside their vectors: that it is there, and is what was stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, Select, func, select

from indexing.beside.models import read_beside
from indexing.beside.sparse_codes import decode_sparse
from indexing.beside.token_codes import TokenCodec
from indexing.catalog.database import reading
from indexing.catalog.generations import DROPPING, GenerationInfo
from indexing.catalog.reads import codes_of_chunks
from indexing.catalog.schema import CODE_TABLES, Chunk
from indexing.errors import BadInput, StorageError
from indexing.inverted.segment import InvertedSegment, SparseRowsOf, merge_rows
from indexing.inverted.snapshot import InvertedSnapshot
from indexing.upkeep.contents import REMEDY

__all__ = ["altered_terms", "altered_tokens", "missing_codes", "model_problems"]

BATCH_CODES = 2_000  # of some thousand bytes each
_WORDS = {"sparse": "weighted terms", "tokens": "vectors of tokens"}


def model_problems(generation: GenerationInfo) -> list[str]:
    """What is wrong with what a generation says of its models; empty if nothing."""
    try:
        model = read_beside(generation.beside).get("tokens")
        if model is not None:
            TokenCodec.from_settings(model.settings, model.dimension)
    except (BadInput, StorageError) as error:
        return [f"catalog: generation {generation.id}: {error}"]
    return []


def missing_codes(connection: Connection, generation: GenerationInfo) -> list[str]:
    """Chunks without a code of a role that the generation has; empty if there are none."""
    problems = []
    for role in read_beside(generation.beside):
        table = CODE_TABLES[role]
        code = select(table.c.key).where(table.c.key == Chunk.key).exists()
        count = connection.scalar(
            select(func.count()).select_from(Chunk).where(Chunk.generation_id == generation.id, ~code)
        )
        if count:
            problems.append(f"catalog: {count} chunks without {_WORDS[role]}")
    return problems


def altered_tokens(engine: Engine, generation: GenerationInfo) -> list[str]:
    """Codes of tokens that are not what was stored, by their checksums."""
    model = read_beside(generation.beside).get("tokens")
    if model is None or generation.state == DROPPING:
        return []
    codec = TokenCodec.from_settings(model.settings, model.dimension)
    table = CODE_TABLES["tokens"]
    statement = select(Chunk.key, table.c.code).join(table, table.c.key == Chunk.key)
    count = sum(
        not codec.is_whole(code)
        for batch in _batches(engine, statement.where(Chunk.generation_id == generation.id))
        for _, code in batch
    )
    return [f"catalog: {count} codes of tokens are not what was stored; {REMEDY}"] if count else []


def _batches(engine: Engine, statement: Select[Any]) -> Iterator[list[tuple[int, bytes]]]:
    """All rows of a statement about chunks, in short transactions."""
    last = -1
    while True:
        with reading(engine) as connection:
            rows = connection.execute(
                statement.where(Chunk.key > last).order_by(Chunk.key).limit(BATCH_CODES)
            ).all()
        if not rows:
            return
        yield [(key, code) for key, code in rows]
        last = rows[-1][0]


def altered_terms(engine: Engine, generation: GenerationInfo, snapshot: InvertedSnapshot) -> list[str]:
    """Whether codes of weighted terms differ from those a snapshot was made of, which has checksums. The code
    of a key never changes: it does not matter which rows come and go meanwhile.
    """
    dimension = read_beside(generation.beside)["sparse"].dimension
    try:
        same = all(_is_same(engine, segment, dimension) for segment in snapshot.segments)
    except StorageError as error:
        return [f"catalog: {error}"]
    return [] if same else [f"catalog: weighted terms differ from the view made of them; {REMEDY}"]


def _is_same(engine: Engine, segment: InvertedSegment, dimension: int) -> bool:
    held = segment.take()
    with reading(engine) as connection:
        codes = codes_of_chunks(connection, held.keys.tolist(), "sparse")
    there = np.asarray([key in codes for key in held.keys.tolist()], bool)
    stored = SparseRowsOf.of(
        held.keys[there],
        held.doc_keys[there],
        decode_sparse([codes[key] for key in held.keys[there].tolist()], dimension),
    )
    expected = merge_rows([(held, np.flatnonzero(~there))])
    pairs = zip(stored.postings, expected.postings, strict=True)
    return all(np.array_equal(mine, theirs) for mine, theirs in pairs)
