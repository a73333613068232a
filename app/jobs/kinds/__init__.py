"""The kinds of jobs, each a module here with a function `run(location, arguments, report) -> result`.

`arguments` and the result are JSON values. Paths among them are absolute, as the work runs in another folder,
and `collection` names the one it is about. `report` is a `worker.Report`: it is called after every commit.
"""

from __future__ import annotations

__all__ = ["KINDS"]

# Imported when a job of the kind runs: whoever lists jobs needs none of them.
KINDS = {
    "index": "app.jobs.kinds.index",
    "sync": "app.jobs.kinds.sync",
    "reindex": "app.jobs.kinds.reindex",
    "evaluate": "app.jobs.kinds.evaluate",
    "tune": "app.jobs.kinds.tune",
    "report": "app.jobs.kinds.report",
    "verify": "app.jobs.kinds.verify",
}
