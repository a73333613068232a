"""What the nodes of a cluster need for a load, looked at on all of them before anything is read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import stlib
from indexing.bulk.checking import difference_of, files_in
from indexing.bulk.pieces import ShardPlan
from indexing.bulk.ray.cluster import Cluster
from indexing.bulk.ray.foreman import open_session
from indexing.bulk.ray.settings import WorkSettings, error_from_row, error_to_row
from indexing.catalog.database import reading
from indexing.errors import BadInput, IndexingError

__all__ = ["check_nodes", "look_around"]

_SECONDS = 300.0  # a model may come from a slow disk, and a node may start the first process of its day


def check_nodes(cluster: Cluster, foreman: Any, sample: ShardPlan | None) -> None:
    """Looks at every node that may embed: the version of stlib, the model, the database, and the first file
    of the `sample`. An instance of our own is this machine, where the driver has looked.

    Raises:
        ModelMismatch, BadInput, StorageError: what is missing on which node, the first of each kind.
    """
    if cluster.is_local:
        return
    import ray

    nodes = {node["NodeID"]: node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")}
    spec = None if sample is None else json.dumps([sample.number, sample.kind, sample.spec])
    asked = {_look_at(node, foreman, spec): node for node in nodes}
    done, late = ray.wait(list(asked), num_returns=len(asked), timeout=_SECONDS)
    said = {_name(nodes[asked[one]]): _answer(one) for one in done}
    said |= {_name(nodes[asked[one]]): error_to_row(BadInput("it does not answer")) for one in late}
    _raise_first(said)


def _look_at(node: str, foreman: Any, spec: str | None) -> Any:
    """Asks one node. What is asked there goes by value, as there may be no stlib."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    version = stlib.__version__

    def look(foreman: Any) -> dict[str, Any]:
        try:
            from indexing.bulk.ray.nodes import look_around
        except ImportError as error:
            return {"error": "BadInput", "message": f"stlib {version} is not installed there ({error})"}
        found: dict[str, Any] = look_around(foreman, version, spec)
        return found

    strategy = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(look).options(num_cpus=0, scheduling_strategy=strategy).remote(foreman)


def _answer(reference: Any) -> Mapping[str, Any]:
    import ray

    try:
        row: Mapping[str, Any] = ray.get(reference)
        return row
    except Exception as error:  # noqa: BLE001 (of whatever kind, it is that node's)
        return error_to_row(BadInput(" ".join(str(error).split())[-300:]))


def _raise_first(said: Mapping[str, Mapping[str, Any]]) -> None:
    wrong = {name: row for name, row in said.items() if "error" in row}
    if not wrong:
        return
    name, row = next(iter(wrong.items()))
    same = [one for one, other in wrong.items() if other["message"] == row["message"]]
    others = f" (and on {len(wrong) - 1} more of {len(said)} nodes)" if len(wrong) > 1 else ""
    listed = name if len(same) == 1 else ", ".join(same[:3])
    raise error_from_row({**row, "message": f"node {listed}: {row['message']}{others}; nothing was read"})


def _name(node: Mapping[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def look_around(foreman: Any, version: str, spec: str | None) -> dict[str, Any]:
    """On a node: what a load will need there."""
    import ray

    if stlib.__version__ != version:
        return error_to_row(BadInput(f"stlib {stlib.__version__} is installed there, here it is {version}"))
    settings = WorkSettings.from_text(ray.get(foreman.settings.remote()))
    try:
        settings.maker.load()
        if settings.direct:
            session = open_session(settings)
            with reading(session.database) as connection:
                session.row(connection)
            session.database.dispose()
        if spec is not None:
            _check_reach(ShardPlan(*json.loads(spec)))
    except (IndexingError, OSError) as error:
        kind = error if isinstance(error, IndexingError) else BadInput(str(error))
        return error_to_row(kind)
    return {}


def _check_reach(sample: ShardPlan) -> None:
    """Whether the first file of a shard can be read on this node, and is the one that the driver saw."""
    for part, entry in files_in([sample]):
        problem = difference_of(entry, part.address)
        if not problem and part.address is None and not os.access(entry.file.path, os.R_OK):
            problem = "it may not be read"
        if problem:
            raise BadInput(
                f"{entry.file.source} cannot be read there: {problem}. What is loaded lies under the same"
                " path on every node (a network file system), or at an address such as s3://bucket/folder"
            )
        return
