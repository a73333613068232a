"""The sums of a workload for every way to run it, and which way to take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from indexing.sizing.setups import SETUPS, Limits, Machines, Sums, add_up, reach
from indexing.sizing.times import Embedding
from indexing.sizing.workload import Workload

__all__ = ["Plan", "Step", "make_plan"]

_MOST_WORKERS = 1 << 16


@dataclass(frozen=True)
class Step:
    """How far a way reaches.

    Attributes:
        documents: the most it takes.
        ends_by: which bounds it misses beyond.
    """

    setup: str
    documents: int
    ends_by: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """
    Attributes:
        sums: one for each of `SETUPS`, in their order.
        steps: likewise.
        advised: the first way that keeps all bounds; where none does, the one that misses fewest, the last of
            these.
        workers_needed: machines with which Ray and Milvus keep memory and hours; None where no number does.
    """

    workload: Workload
    machines: Machines
    limits: Limits
    sums: tuple[Sums, ...]
    steps: tuple[Step, ...]
    advised: str
    workers_needed: int | None

    @property
    def best(self) -> Sums:
        """The sums of what is advised."""
        return next(one for one in self.sums if one.setup == self.advised)

    @property
    def one_core_seconds(self) -> float:
        """Of embedding and storing in SQLite."""
        return Embedding.of(self.workload, "sqlite").one_core

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        work, model = self.workload, self.workload.model
        return {
            "documents": work.documents,
            "length": work.length,
            "passages": round(work.passages),
            "tokens": round(work.tokens),
            "model": {
                "name": model.name,
                "dimension": model.dimension,
                "passages_per_second": _rate(self),
                "how": model.how,
            },
            "precision": work.precision,
            "machine": {"cores": self.machines.cores, "memory": round(self.machines.memory)},
            "workers": self.machines.workers,
            "replicas": self.machines.replicas,
            "limits": {"search_ms": self.limits.search_ms, "hours": self.limits.hours},
            "one_core_seconds": round(self.one_core_seconds, 1),
            "setups": [one.to_dict() for one in self.sums],
            "steps": [
                {"setup": step.setup, "documents": step.documents, "ends_by": list(step.ends_by)}
                for step in self.steps
            ],
            "advised": self.advised,
            "workers_needed": self.workers_needed,
        }


def _rate(plan: Plan) -> float | None:
    seconds = Embedding.of(plan.workload, "sqlite").model
    return round(plan.workload.passages / seconds, 1) if seconds else None


def make_plan(
    workload: Workload,
    machines: Machines | None = None,
    limits: Limits | None = None,
    engines: Mapping[str, str] | None = None,
) -> Plan:
    """What `workload` needs on `machines`; bounds are `limits` and the memory of a machine. `engines`, by the
    name of a way, take the place of the usual ones where they fit.
    """
    machines, limits = machines or Machines(), limits or Limits()
    chosen = engines or {}
    sums, steps = [], []
    for setup in SETUPS:

        def make(documents: int, setup: str = setup) -> Sums:
            return add_up(workload.of_documents(documents), setup, machines, limits, chosen.get(setup))

        sums.append(make(workload.documents))
        steps.append(Step(setup, *reach(make)))
    fewest = min(len(one.missed) for one in sums)
    fitting = [one.setup for one in sums if len(one.missed) == fewest]
    advised = fitting[-1] if fewest else fitting[0]
    needed = _workers_needed(workload, machines, limits)
    return Plan(workload, machines, limits, tuple(sums), tuple(steps), advised, needed)


def _workers_needed(workload: Workload, machines: Machines, limits: Limits) -> int | None:
    """The fewest machines with which `ray` misses neither memory nor hours."""

    def enough(workers: int) -> bool:
        sums = add_up(workload, "ray", replace(machines, workers=workers), limits)
        return not {"memory", "hours"} & set(sums.missed)

    low, high = 0, 1
    while not enough(high):
        low, high = high, 2 * high
        if high > _MOST_WORKERS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
