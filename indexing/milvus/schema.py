"""What a collection in Milvus looks like: its fields, the type of its vectors, and the index over them.

    key            INT64, primary: the chunk's, by which filters go
    vector         see `Layout`
    note           VARCHAR: empty, but for the marker, a row of its own that says how far the rows follow

Milvus only proposes rows. Each is scored again with the codes of the catalog, so types of vectors differ in
memory and in what they may miss, never in how a row is scored.

| vectors  | field          | index         | of the generation      | Milvus            | bytes of a vector |
| float32  | FLOAT_VECTOR   | HNSW          | float32                | all, and Lite     | 4 d               |
| float16  | FLOAT16_VECTOR | HNSW          | any                    | from 2.4          | 2 d               |
| int8     | INT8_VECTOR    | HNSW          | int8, uint8            | from 2.6          | d                 |
| binary   | BINARY_VECTOR  | BIN_IVF_FLAT  | binary, ubinary        | all               | d / 8             |

Milvus Lite has float vectors alone, and an index that scans them all (FLAT): what it proposes is exact.

Sources: milvus.io/docs index-explained, hnsw, bin-ivf-flat, limitations, and the notes of release 2.6.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from indexing.errors import BadInput
from indexing.milvus.conditions import KEY_FIELD
from indexing.milvus.settings import ADDRESS_VARIABLE, MilvusSettings
from indexing.quantization import Codec

__all__ = ["MARKER_KEY", "MOST_DIMENSIONS", "MOST_NOTE", "MOST_RESULTS", "Layout", "check_limits"]

MARKER_KEY = 0
"""Of the row that is none: the catalog counts keys of chunks from 1."""
NOTE_FIELD, VECTOR_FIELD = "note", "vector"
MOST_NOTE = 4_096
MOST_DIMENSIONS = {"float": 32_768, "binary": 262_144}
"""What Milvus takes; of bits eight times as many."""
MOST_RESULTS = 16_384
"""Rows of one search, and of one page of a query."""

_KINDS = {"float32": "float32", "int8": "int8", "uint8": "int8", "binary": "binary", "ubinary": "binary"}

# A graph with sixteen neighbours a row, built looking at two hundred: what Milvus' documents recommend for
# high recall, and what pgvector's graph has here too.
_HNSW = {"M": 16, "efConstruction": 200}
# A segment of Milvus holds a GiB: some millions of rows. Of 1,024 lists 64 are looked into, 6 % of the rows,
# at 32 bytes a row about a millisecond for each million.
_IVF, _NPROBE = {"nlist": 1_024}, 64
_LEAST_EFFORT = 128
_LARGEST = 127


def check_limits(precision: str, dimension: int) -> None:
    """
    Raises:
        BadInput: Milvus has no vectors of this dimension.
    """
    kind = "binary" if precision in ("binary", "ubinary") else "float"
    if dimension > (most := MOST_DIMENSIONS[kind]):
        other = "" if kind == "binary" else f", or 'binary' for up to {MOST_DIMENSIONS['binary']:,}"
        raise BadInput(
            f"{dimension:,} dimensions in {precision!r} are more than Milvus takes ({most:,}): use the engine"
            f" 'faiss'{other}"
        )


@dataclass(frozen=True)
class Layout:
    """How vectors of one codec are kept: `kind` is one of float32, float16, int8 and binary.

    Attributes:
        exact: whether what Milvus proposes is what a scan would: FLAT over float32.
        mmap, shards, replicas: of the settings.
    """

    codec: Codec
    kind: str
    exact: bool
    mmap: bool = False
    shards: int = 1
    replicas: int = 1

    most: ClassVar[int] = MOST_RESULTS - 1  # beside the marker

    @classmethod
    def of(cls, codec: Codec, settings: MilvusSettings, *, is_lite: bool | None = None) -> Layout:
        """`is_lite`: whether it is Milvus Lite; None: if the settings name a path.

        Raises:
            BadInput: the setting of vectors asks for what the codec has not, or for more dimensions than fit.
        """
        if settings.is_lite if is_lite is None else is_lite:
            return cls(codec, "float32", exact=True)
        kind = _KINDS[codec.precision] if settings.vectors == "auto" else settings.vectors
        if kind == "int8" and codec.ranges is None:
            raise BadInput(
                f"{ADDRESS_VARIABLE}_VECTORS=int8 needs codes with ranges, these are float32: take float16"
            )
        check_limits("binary" if kind == "binary" else "float32", codec.dimension)
        return cls(codec, kind, False, settings.mmap, settings.shards, settings.replicas)

    @property
    def signature(self) -> str:
        """Collections of another signature are made anew."""
        return f"{self.kind}/{self.index_type}/{self.metric}/{self.shards}"

    @property
    def simpler(self) -> str:
        """What to take of a Milvus that does not know this kind; empty where every one does."""
        return {"int8": "float16", "float16": "float32"}.get(self.kind, "")

    @property
    def dimension(self) -> int:
        """Of the field; of bits whole bytes."""
        return 8 * -(-self.codec.dimension // 8) if self.kind == "binary" else self.codec.dimension

    @property
    def row_bytes(self) -> int:
        """About what a row takes in a request."""
        width = {"float32": 32, "float16": 16, "int8": 8, "binary": 1}[self.kind]
        return self.dimension * width // 8 + 32

    @property
    def metric(self) -> str:
        """Of vectors of length one the inner product is the cosine, and zero vectors have one."""
        return "HAMMING" if self.kind == "binary" else "IP"

    @property
    def index_type(self) -> str:
        return "FLAT" if self.exact else "BIN_IVF_FLAT" if self.kind == "binary" else "HNSW"

    @property
    def index_parameters(self) -> dict[str, Any]:
        return {} if self.exact else dict(_IVF) if self.kind == "binary" else dict(_HNSW)

    def search_parameters(self, count: int) -> dict[str, Any]:
        """How far a search of `count` rows looks: a graph at twice as many."""
        if self.exact:
            return {}
        return {"nprobe": _NPROBE} if self.kind == "binary" else {"ef": max(2 * count, _LEAST_EFFORT)}

    def values(self, codes: np.ndarray) -> np.ndarray:
        """What Milvus gets for codes [n, d]: float32, float16 or int8 [n, d], or bits uint8 [n, d / 8]."""
        if self.kind == "binary":
            return self.codec.sign_bits(codes) if self.codec.ranges is not None else _bits(codes)
        decoded = self.codec.decode(codes)
        if self.kind == "int8":
            return _to_int8(decoded, self._largest)
        return decoded.astype("<f2" if self.kind == "float16" else "<f4", copy=False)

    def query_value(self, query: np.ndarray) -> bytes:
        """A query float32 [d] of length one, in the same type."""
        if self.kind == "binary":
            return self.codec.query_bits(query).tobytes()
        if self.kind == "int8":
            return _to_int8(query, float(np.abs(query).max(initial=0)) or 1.0).tobytes()
        return query.astype("<f2" if self.kind == "float16" else "<f4").tobytes()

    @property
    def nothing(self) -> np.ndarray:
        """The vector of the marker: one row of zeros."""
        width = self.dimension // 8 if self.kind == "binary" else self.dimension
        kind = {"float32": "<f4", "float16": "<f2", "int8": "i1", "binary": "u1"}[self.kind]
        return np.zeros((1, width), kind)

    @property
    def _largest(self) -> float:
        """What 127 stands for. One scale for all dimensions keeps the angles between vectors, by which a
        graph is made; codes have a scale and an offset of their own in each.
        """
        assert self.codec.ranges is not None
        return float(np.abs(self.codec.ranges).max())


def _to_int8(values: np.ndarray, largest: float) -> np.ndarray:
    scaled = np.rint(values.astype(np.float64) * (_LARGEST / largest))
    return np.clip(scaled, -_LARGEST, _LARGEST).astype(np.int8)


def _bits(vectors: np.ndarray) -> np.ndarray:
    return np.packbits(vectors >= 0, axis=1)


FIELDS = (KEY_FIELD, VECTOR_FIELD, NOTE_FIELD)
