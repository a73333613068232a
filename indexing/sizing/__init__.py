"""What a collection of a given size needs, before it is made: disk, memory, hours, milliseconds.

    from indexing.sizing import Workload, find_model, make_plan

    plan = make_plan(Workload(documents=40_000_000, length=500, model=find_model(None)))
    print(plan.advised, plan.best.disk_bytes, plan.best.search_ms)

`disk` and `vectors` have the sums of single parts. All begin at what was measured, see `measured`.
"""

from __future__ import annotations

from indexing.sizing.models import ModelFacts, find_model
from indexing.sizing.plan import Plan, Step, make_plan
from indexing.sizing.setups import SETUPS, Limits, Machines, Sums, add_up
from indexing.sizing.workload import Workload

__all__ = [
    "SETUPS",
    "Limits",
    "Machines",
    "ModelFacts",
    "Plan",
    "Step",
    "Sums",
    "Workload",
    "add_up",
    "find_model",
    "make_plan",
]
