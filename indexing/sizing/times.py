"""How long embedding takes, how long views take to build, and how long a search waits."""

from __future__ import annotations

from dataclasses import dataclass

from indexing.sizing import vectors
from indexing.sizing.measured import measured
from indexing.sizing.workload import Workload

__all__ = ["Embedding", "ray_efficiency", "search_ms", "view_seconds"]


def ray_efficiency(workers: int) -> float:
    """What a worker of Ray does of what a process of its own would; an assumption until it is measured."""
    known = measured()["ray"]
    figures = {int(count): figure for count, figure in known["efficiency"].items() if figure is not None}
    counts = [count for count in figures if count <= workers]
    return float(figures[max(counts)] if counts else known["assumed"])


@dataclass(frozen=True)
class Embedding:
    """Seconds to read, cut, embed and store all documents.

    Attributes:
        model: of one core, in the model alone.
        store: of one core, in reading, cutting and storing.
    """

    model: float
    store: float

    @classmethod
    def of(cls, workload: Workload, database: str) -> Embedding:
        cost = measured()["store"][database]
        store = (
            workload.documents * (cost["document"] + workload.length * cost["character"])
            + workload.passages * cost["passage"]
        )
        rates = [one.tokens_per_second for one in workload.models if one.tokens_per_second]
        return cls(sum(workload.tokens / rate for rate in rates), store)

    @property
    def one_core(self) -> float:
        return self.model + self.store

    def side_by_side(self, workers: int) -> float:
        """By `workers` processes of one core each, to which Ray hands out work: never less than storing
        takes, as the changes of a collection are numbered one after the other.
        """
        if workers <= 1:
            return self.one_core
        return max(self.store, self.one_core / (workers * ray_efficiency(workers)))


def view_seconds(workload: Workload, engine: str, cores: int = 1) -> float:
    """Seconds to make all views from the catalog, by one core; Milvus makes its graph by `cores`."""
    known = measured()["build"]
    words = workload.documents * (known["document"] + workload.length * known["character"])
    made = vectors.build_seconds(workload.passages, workload.dimension, workload.precision, engine)
    return float(known["once"] + words + made / (cores if engine == "milvus" else 1))


def search_ms(workload: Workload, engine: str, threads: int = 1, on_disk: float = 0.0) -> float:
    """Median milliseconds of a hybrid search: embedding the question, both legs one after the other, and
    reading and marking ten results, which does not grow. `threads` has Milvus; `on_disk` is the share of the
    codes that memory has no room for, of which each that is looked up waits for the disk.
    """
    known = measured()["search"]
    words = workload.documents / 1000 * known["words"]
    leg = vectors.search_ms(workload.passages, workload.dimension, workload.precision, engine, threads)
    leg += vectors.candidates(workload.precision, engine) * on_disk * known["disk_read"]
    return float(known["fixed"] + _question_ms(workload) + words + leg + _sparse_ms(workload))


def _question_ms(workload: Workload) -> float:
    """A question has some ten tokens, and a transformer takes them for twenty."""
    rate = workload.model.tokens_per_second
    return 20 / rate * 1000 if rate else 0.0


def _sparse_ms(workload: Workload) -> float:
    return workload.passages / 1e6 * measured()["search"]["terms"] if workload.sparse is not None else 0.0
