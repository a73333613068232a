"""The index of vectors alone: its files, what it holds and maps in memory, its time to be built and asked.

FAISS scans every code, so its time grows with their bytes; graphs (usearch, pgvector, Milvus) visit about as
many passages more as the logarithm of their number grows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from indexing.errors import BadInput
from indexing.names import ENGINES, FILE_ENGINES
from indexing.sizing.disk import stored_bytes, table_bytes
from indexing.sizing.measured import measured

__all__ = ["Memory", "build_seconds", "candidates", "held_by_process", "memory", "search_ms", "view_bytes"]

_GRAPHS_AT = 100_000
"""Passages for which the time of graphs is kept; it is measured with 20,000 and brought to these by the
logarithm.
"""

_WANTED = 100
"""Documents that a hybrid search wants from each leg at first."""
# How many times as many each engine proposes to be scored by their codes.
_OVER_SIGNS = 20
_OVER_GRAPH = {"usearch": 4, "pgvector": 2, "milvus": 2}

# pgvector: an element of the graph has a head of some 80 bytes, its neighbours (twice 16 on the lowest level)
# take 204; both lie on one page of 8,192. Its table has the vector and the key of each passage besides.
_ELEMENT, _NEIGHBOURS, _VECTOR_HEAD = 80, 204, 8
_PG_PAGE, _PG_ROOM = 8192, 8168
_UPPER = 1.03  # levels above the lowest
_KEY = 26


class Memory(NamedTuple):
    """Bytes: `resident` is held, `mapped` lies in files that a search reads all of, `rest` in files of which
    it reads little.
    """

    resident: float
    mapped: float
    rest: float = 0.0

    @property
    def wanted(self) -> float:
        """What a machine should have free, so that no search waits for the disk."""
        return self.resident + self.mapped


def view_bytes(passages: float, dimension: int, precision: str, engine: str = "faiss") -> float:
    """Bytes of what the engine keeps: files of a view, for pgvector its table and graph at the server, for
    Milvus what it loads, by its documentation.
    """
    check(engine)
    stored = stored_bytes(precision, dimension)
    if engine == "faiss":
        return passages * (stored + measured()["views"]["row"] + _signs(precision, dimension))
    if engine == "usearch":
        return passages * (stored + measured()["views"]["row"]) + _graph_bytes(passages, dimension, precision)
    if engine == "pgvector":
        return passages * (_pgvector_rows(precision, dimension) + _pgvector_graph(precision, dimension))
    return _milvus_bytes(passages, dimension, precision)


def memory(passages: float, dimension: int, precision: str, engine: str = "faiss") -> Memory:
    """What the engine needs in memory, beyond a process that holds none. That of pgvector and Milvus is at
    the server: once, and not in each process, see `held_by_process`.
    """
    check(engine)
    keys, codes = passages * measured()["views"]["row"], passages * stored_bytes(precision, dimension)
    held = held_by_process(passages, engine)
    if engine == "faiss":
        signs = passages * _signs(precision, dimension)
        return Memory(held, keys + signs, codes) if signs else Memory(held, keys + codes)
    if engine == "usearch":
        return Memory(held + _graph_bytes(passages, dimension, precision), keys, codes)
    if engine == "pgvector":
        graph = passages * _pgvector_graph(precision, dimension)
        return Memory(graph, 0.0, passages * _pgvector_rows(precision, dimension))
    return Memory(_milvus_bytes(passages, dimension, precision), 0.0)


def held_by_process(passages: float, engine: str = "faiss") -> float:
    """What each process that searches holds of passages: which documents there are, and where the vectors are
    at a server, also which passages.
    """
    check(engine)
    known = measured()["memory"]
    return float(passages * known["passage" if engine in FILE_ENGINES else "passage_at_server"])


def search_ms(
    passages: float, dimension: int, precision: str, engine: str = "faiss", threads: int = 1
) -> float:
    """Median milliseconds of finding the passages for a vector that a hybrid search wants first, everything
    being in memory. By one thread; the parts of Milvus' collection are searched by `threads` of its machines.
    """
    check(engine)
    known = measured()["search"]
    if engine == "faiss":
        signs = _signs(precision, dimension)
        cost = known["faiss"]["binary" if signs else "float32" if precision == "float32" else "int8"]
        width = signs or stored_bytes(precision, dimension)
        return float(cost.get("fixed", 0.0) + passages * (cost["row"] + cost["byte"] * width) / 1e6)
    if engine == "milvus":
        return _milvus_ms(passages, dimension, precision, threads)
    return float(known["graphs"][engine] * _growth(passages))


def candidates(precision: str, engine: str = "faiss") -> int:
    """Passages whose codes are looked up for a search, one here and one there: those that signs or a graph
    propose. 0 where codes are read from the first to the last.
    """
    check(engine)
    if engine == "faiss" and not _is_binary(precision):
        return 0
    return (_OVER_SIGNS if _is_binary(precision) else _OVER_GRAPH[engine]) * _WANTED


def build_seconds(passages: float, dimension: int, precision: str, engine: str = "faiss") -> float:
    """Seconds of one core to make the index from codes that are there. A graph is searched for each passage
    that comes to it, so its time grows a little faster than their number.
    """
    check(engine)
    known = measured()["build"]
    if engine == "faiss":
        return float(
            known["faiss_once"] + passages * known["faiss"] * stored_bytes(precision, dimension) / 256
        )
    each = known["pgvector" if engine == "milvus" else engine]
    return float(passages * each * _growth(passages))


def check(engine: str) -> None:
    """
    Raises:
        BadInput: there is no such engine.
    """
    if engine not in ENGINES:
        raise BadInput(f"engine {engine!r}: use one of {', '.join(ENGINES)}")


def _growth(passages: float) -> float:
    return max(1.0, math.log2(max(passages, 2.0)) / math.log2(_GRAPHS_AT))


def _is_binary(precision: str) -> bool:
    return precision in ("binary", "ubinary")


def _signs(precision: str, dimension: int) -> int:
    """Bytes of the signs of a vector, which FAISS scans for binary precisions; 0 for the others."""
    return -(-dimension // 8) if _is_binary(precision) else 0


def _graph_bytes(passages: float, dimension: int, precision: str) -> float:
    """usearch holds vectors in bytes, floats in halves."""
    width = _signs(precision, dimension) or dimension * (2 if precision == "float32" else 1)
    return passages * (width + float(measured()["usearch"]["row"]))


def _pgvector_width(precision: str, dimension: int) -> int:
    return _VECTOR_HEAD + (_signs(precision, dimension) or 2 * dimension)


def _pgvector_rows(precision: str, dimension: int) -> float:
    return table_bytes(_pgvector_width(precision, dimension) - 4, "postgres")  # which has a length of its own


def _pgvector_graph(precision: str, dimension: int) -> float:
    element = _pgvector_width(precision, dimension) + _ELEMENT + _NEIGHBOURS
    return _PG_PAGE / max(1, _PG_ROOM // element) * _UPPER


def _milvus_bytes(passages: float, dimension: int, precision: str) -> float:
    """Vectors, and for each of a graph its links; signs lie in lists without one."""
    known = measured()["milvus"]
    signs = _signs(precision, dimension)
    width = signs or stored_bytes(precision, dimension) + known["connections"] * known["connection_bytes"]
    return float(passages * (width + known["key"]))


def _milvus_ms(passages: float, dimension: int, precision: str, threads: int) -> float:
    """A request, the search of each part of its collection (a graph each, for signs some of the lists), and
    the codes of what is proposed, which are read from the catalog.
    """
    known = measured()["milvus"]
    parts = max(1.0, _milvus_bytes(passages, dimension, precision) / known["part"])
    if _is_binary(precision):
        scanned = search_ms(passages, dimension, precision) * known["probed"] / min(threads, parts)
    else:
        each = measured()["search"]["graphs"]["usearch"] * _growth(passages / parts)
        scanned = each * math.ceil(parts / threads)
    codes = candidates(precision, "milvus") * measured()["search"]["code"]
    return float(known["request"] + scanned + codes)
