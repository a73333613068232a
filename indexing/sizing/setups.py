"""Three ways to run a collection, what each needs, how far it reaches, and which one to take.

sqlite     one machine, the catalog in a file, vectors scanned by FAISS
postgres   the catalog in PostgreSQL with a graph of pgvector, that server and the search on one machine
ray        texts embedded by Ray on several machines, the catalog in PostgreSQL, vectors in Milvus on them
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from indexing.names import FAR_ENGINES, FILE_ENGINES, SERVER_ENGINES
from indexing.sizing import disk, vectors
from indexing.sizing.measured import measured
from indexing.sizing.times import Embedding, search_ms, view_seconds
from indexing.sizing.vectors import Memory
from indexing.sizing.workload import Workload

__all__ = ["BOUNDS", "SETUPS", "Limits", "Machines", "Sums", "add_up", "reach"]

SETUPS = ("sqlite", "postgres", "ray")
BOUNDS = ("memory", "search", "hours")
_MOST_DOCUMENTS = 10**12


@dataclass(frozen=True)
class Machines:
    """
    Attributes:
        cores, memory: of one machine; memory in bytes.
        workers: machines that Ray and Milvus have.
        replicas: how often Milvus holds each vector.
    """

    cores: int = 8
    memory: float = 32e9
    workers: int = 4
    replicas: int = 1


@dataclass(frozen=True)
class Limits:
    """What is bearable.

    Attributes:
        search_ms: median of a search. Below a fifth of a second an answer seems to come at once.
        hours: from the first text that is read to the first search.
    """

    search_ms: float = 200.0
    hours: float = 48.0


@dataclass(frozen=True)
class Sums:
    """What one way needs.

    Attributes:
        embedding_seconds, view_seconds: by the clock, with all its machines; of one core alone for views.
        disk: bytes by part; those of views lie on the machine that searches, for pgvector at the server.
        memory: of the machine that searches, with the database on it and one process that searches.
        each: bytes of memory that each of Milvus' machines needs; 0 without.
        missed: which of `BOUNDS` it does not keep.
    """

    setup: str
    database: str
    engine: str
    embedding_seconds: float
    view_seconds: float
    disk: dict[str, float]
    memory: Memory
    each: float
    search_ms: float
    missed: tuple[str, ...] = field(default=())

    @property
    def disk_bytes(self) -> float:
        return sum(self.disk.values())

    @property
    def measured(self) -> bool:
        """Whether its figures follow from what was measured; of Milvus and of several machines none was."""
        return self.setup != "ray" and self.engine not in FAR_ENGINES

    def to_dict(self) -> dict[str, Any]:
        """For JSON: seconds, milliseconds and whole bytes."""
        return {
            "setup": self.setup,
            "database": self.database,
            "engine": self.engine,
            "embedding_seconds": round(self.embedding_seconds, 1),
            "view_seconds": round(self.view_seconds, 1),
            "disk": {part: round(size) for part, size in self.disk.items()},
            "disk_bytes": round(self.disk_bytes),
            "memory": {name: round(size) for name, size in self.memory._asdict().items()},
            "memory_bytes": round(self.memory.wanted),
            "memory_each": round(self.each),
            "search_ms": round(self.search_ms, 2),
            "measured": self.measured,
            "missed": list(self.missed),
        }


def add_up(
    workload: Workload, setup: str, machines: Machines, limits: Limits, engine: str | None = None
) -> Sums:
    """The sums of `workload` for one of `SETUPS`; `engine` takes the place of the usual one where it fits."""
    database = "sqlite" if setup == "sqlite" else "postgres"
    used = _engine(setup, engine)
    workers = machines.cores * (machines.workers if setup == "ray" else 1)
    memory, each = _memory(workload, used, machines)
    parts = _disk(workload, database, used)
    sums = Sums(
        setup=setup,
        database=database,
        engine=used,
        embedding_seconds=Embedding.of(workload, database).side_by_side(workers),
        view_seconds=view_seconds(workload, used, workers),
        disk=parts,
        memory=memory,
        each=each,
        search_ms=search_ms(workload, used, workers, _on_disk(parts["codes"], memory, used, machines)),
    )
    return Sums(**{**vars(sums), "missed": _missed(sums, machines, limits)})


def reach(make: Callable[[int], Sums]) -> tuple[int, tuple[str, ...]]:
    """How many documents a way takes without missing a bound, and what it misses beyond; `make` has the sums
    for a number of documents. 0 where one is too many, and no bound where it never ends.
    """
    low, high = 0, _MOST_DOCUMENTS
    if not make(high).missed:
        return high, ()
    while high - low > max(1, low // 1000):
        middle = (low + high) // 2 if low else int(max(1, high**0.5)) if high > 2 else 1
        if make(middle).missed:
            high = middle
        else:
            low = middle
    return low, make(high).missed


def _engine(setup: str, engine: str | None) -> str:
    usual = {"sqlite": "faiss", "postgres": "pgvector", "ray": "milvus"}[setup]
    fits = {
        "sqlite": (*FILE_ENGINES, *FAR_ENGINES),
        "postgres": (*FILE_ENGINES, *SERVER_ENGINES, *FAR_ENGINES),
        "ray": FAR_ENGINES,
    }[setup]
    return engine if engine in fits else usual


def _disk(workload: Workload, database: str, engine: str) -> dict[str, float]:
    documents, passages = workload.documents, workload.passages
    dimension, precision = workload.dimension, workload.precision
    parts = {
        "documents": documents * disk.document_bytes(workload.length, workload.metadata, database),
        "passages": passages * disk.passage_bytes(database),
        "codes": passages * disk.code_bytes(dimension, precision, database),
        "vectors": vectors.view_bytes(passages, dimension, precision, engine),
        "words": documents * disk.words_bytes(workload.length),
        "columns": documents * disk.column_bytes(workload.fields),
    }
    if workload.sparse is not None:
        parts["terms"] = passages * disk.sparse_bytes(database)
    if workload.late is not None:
        each = workload.tokens / passages
        parts["tokens"] = passages * disk.token_bytes(each, workload.late.dimension, database)
    return parts


def _memory(workload: Workload, engine: str, machines: Machines) -> tuple[Memory, float]:
    """Of the machine that searches, and of each of Milvus' machines."""
    held, mapped, rest = vectors.memory(workload.passages, workload.dimension, workload.precision, engine)
    each = 0.0
    if engine == "milvus":
        held, each = 0.0, held * machines.replicas / machines.workers
    if engine not in FILE_ENGINES:
        held += vectors.held_by_process(workload.passages, engine)
    words = workload.documents * disk.words_bytes(workload.length)
    columns = workload.documents * disk.column_bytes(workload.fields)
    models = sum(one.memory for one in workload.models)
    return Memory(measured()["memory"]["process"] + models + held, mapped + words, rest + columns), each


def _on_disk(catalog: float, memory: Memory, engine: str, machines: Machines) -> float:
    """The share of the codes that memory has no room for beside what is always read: of those in files, or
    where the vectors are at a server of those in the catalog, `catalog` bytes.
    """
    codes = memory.rest if engine in FILE_ENGINES else catalog
    over = memory.wanted + codes - machines.memory
    return min(1.0, max(0.0, over / codes)) if codes else 0.0


def _missed(sums: Sums, machines: Machines, limits: Limits) -> tuple[str, ...]:
    passed = {
        "memory": max(sums.memory.wanted, sums.each) <= machines.memory,
        "search": sums.search_ms <= limits.search_ms,
        "hours": sums.embedding_seconds + sums.view_seconds <= limits.hours * 3600,
    }
    return tuple(bound for bound in BOUNDS if not passed[bound])
