"""The stages as one dataset of Ray Data, and its outcomes as they come."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from indexing.bulk.pieces import Done
from indexing.bulk.ray.cluster import THREAD, Cluster
from indexing.bulk.ray.settings import error_from_row
from indexing.bulk.ray.stages import ERROR, Embedder, read_shards
from indexing.errors import StorageError

__all__ = ["Outcome", "ToDo", "outcomes"]

# Of a CPU that Ray lends, which says nothing of what a process takes: reading waits for disks and networks,
# and has to come by whatever the embedding leaves.
_CPU_TO_READ, _CPU_TO_EMBED = 0.1, 0.9

_IN_FLIGHT = 2  # pieces of an actor: the one it works on, and one that is there when it is done
_STORE_BYTES_A_WORKER = 32 * 2**20
_LOOK_SECONDS = 0.5
_END_SECONDS = 10.0
_END_LOOK_SECONDS = 0.05


ToDo = tuple[int, Done]
"""The number of a shard, and which of its pieces are stored."""


@dataclass(frozen=True)
class Outcome:
    """What became of a piece: an outcome of a `PieceReport`, or `bad` for its shard."""

    shard: int
    number: int
    outcome: str
    said: dict[str, Any]


def outcomes(todo: Sequence[ToDo], foreman: Any, cluster: Cluster) -> Generator[Outcome | None]:
    """Runs the stages over shards, by their numbers and what of them is stored. None comes where nothing
    happened for half a second, so that who iterates may look around. Who stops to iterate lets the rest be.

    Raises:
        IndexingError: what went wrong at a worker, of our own errors.
        StorageError: processes die faster than Ray may start them, or it failed itself.
    """
    found: queue.Queue[Any] = queue.Queue()
    stop = threading.Event()
    ids: list[str] = []
    thread = threading.Thread(
        target=_run, args=(todo, foreman, cluster, found, stop, ids), name=THREAD, daemon=True
    )
    thread.start()
    try:
        while True:
            try:
                item = found.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                yield None
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise _failure(item)
            if item["outcome"] == ERROR:
                raise error_from_row(json.loads(item["said"]))
            yield Outcome(item["shard"], item["number"], item["outcome"], json.loads(item["said"]))
    finally:
        stop.set()
        if cluster.is_alive():
            _end(thread, ids)


def _end(thread: threading.Thread, ids: Sequence[str]) -> None:
    """Waits until `thread` has ended, and ends the threads of Ray Data that execute datasets of these ids. By
    themselves they notice that nobody wants rows when one comes, which is late where workers still start; and
    where Ray ends under such a thread, the process may end with it.
    """
    until = time.monotonic() + _END_SECONDS
    while thread.is_alive() and time.monotonic() < until:
        for other in threading.enumerate():
            if any(other.name.startswith(f"StreamingExecutor-{id_}") for id_ in ids):
                executor: Any = other
                with contextlib.suppress(Exception):
                    executor.shutdown(force=True)
        thread.join(_END_LOOK_SECONDS)


def _run(
    todo: Sequence[ToDo],
    foreman: Any,
    cluster: Cluster,
    found: queue.Queue[Any],
    stop: threading.Event,
    ids: list[str],
) -> None:
    """Body of the thread: puts rows into `found`, then None, or what was raised. Of each dataset it begins
    the id is added to `ids`.
    """
    try:
        with contextlib.closing(_rows(todo, foreman, cluster, stop, ids)) as rows:
            for row in rows:
                if stop.is_set():
                    return
                found.put(row)
        found.put(None)
    except BaseException as error:  # noqa: BLE001 (it is raised where outcomes are waited for)
        found.put(error)


def _rows(
    todo: Sequence[ToDo], foreman: Any, cluster: Cluster, stop: threading.Event, ids: list[str]
) -> Generator[dict[str, Any]]:
    from ray.data import DataContext

    context = DataContext.get_current().copy()
    _set_up(context, cluster)
    with DataContext.current(context):
        dataset = _dataset(todo, foreman, cluster)
        if stop.is_set():
            return
        ids.append(dataset.get_dataset_id())
        batches = dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
        for table in batches:
            yield from table.to_pylist()


def _dataset(todo: Sequence[ToDo], foreman: Any, cluster: Cluster) -> Any:
    import pyarrow as pa
    import ray.data

    numbers = pa.list_(pa.int64())
    blocks = [
        pa.table(
            {
                "shard": [number],
                "stored": [done.stored],
                "beyond": pa.array([sorted(done.beyond)], numbers),
                "digest": [done.digest],
            }
        )
        for number, done in todo
    ]
    reading: Any = read_shards
    pieces = ray.data.from_arrow(blocks).map_batches(
        reading,
        fn_kwargs={"foreman": foreman},
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.TaskPoolStrategy(size=min(cluster.workers, len(blocks))),
        num_cpus=_CPU_TO_READ,
    )
    return pieces.map_batches(
        Embedder,
        fn_constructor_kwargs={"foreman": foreman},
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=cluster.workers, max_tasks_in_flight_per_actor=_IN_FLIGHT),
        num_cpus=_CPU_TO_EMBED,
    )


def _set_up(context: Any, cluster: Cluster) -> None:
    """One piece a block, and few of them: a block is what a task takes and what is read again."""
    context.target_max_block_size = 1
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = -1  # a cluster may be busy with others for hours
    context.max_consecutive_actor_init_deaths = 10
    context.execution_options.preserve_order = False
    limits = type(context.execution_options.resource_limits)
    context.execution_options.resource_limits = limits.for_limits(
        object_store_memory=_STORE_BYTES_A_WORKER * cluster.workers
    )


def _failure(error: BaseException) -> BaseException:
    """What Ray raised, in a line."""
    if isinstance(error, (KeyboardInterrupt, SystemExit)):
        return error
    said = " ".join(str(error).split())
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = lines[-1] if len(said) > 500 else said
    return StorageError(
        f"Ray ended the load ({type(error).__name__}: {told}); what is stored is kept, and the same command"
        " goes on. If processes ran out of memory, take fewer --workers"
    )
