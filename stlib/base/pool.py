"""Inference by several processes, on several devices or on the cores of a CPU.

Each worker holds the model (its weights are shared memory on a CPU) and one pipe to the caller, who hands it
a chunk of the inputs whenever it is idle and puts the results in order. A pipe of its own, rather than a
queue for all, is why a worker that dies is noticed at once, in the middle of a message even: nobody else
holds its end of the pipe, and it takes no lock with it.
"""

from __future__ import annotations

import itertools
import math
import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
import torch.multiprocessing as mp
from torch import Tensor
from tqdm import tqdm

from stlib.base.running import RunOptions, run_all
from stlib.errors import InvalidOption, WorkerFailed
from stlib.util.forks import ThreadLock
from stlib.util.lists import refuse_text

if TYPE_CHECKING:
    from stlib.base.inference import InferenceModel

# {"input": pipes to the workers, "output": the same, which are read as well, "processes": list, "workers":
# list}: the documented form of a pool; and "lock", held by the thread whose inputs the workers encode.
Pool = dict[str, Any]

_DEFAULT_CPU_WORKERS = 4
_MAX_CHUNK = 5000
# Chunks per worker by default: enough that a slow worker does not keep all others waiting at the end.
_CHUNKS_PER_WORKER = 10
_STOP_SECONDS = 5

_jobs = itertools.count()


@dataclass
class Worker:
    """A process, the caller's end of its pipe, and whether it owes a reply."""

    process: Any
    pipe: Connection
    busy: bool = False


@dataclass(frozen=True)
class Reply:
    """What a worker made of one chunk: values, or an error, and how many inputs were cut."""

    job: int
    number: int
    values: Any = None
    cut: int = 0
    error: str | None = None


def start_pool(model: InferenceModel, target_devices: Sequence[str | torch.device] | None = None) -> Pool:
    """Start one process per device; default: all CUDA devices, or four processes on the CPU."""
    refuse_text(target_devices=target_devices)
    if target_devices is None:
        cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        target_devices = cuda or ["cpu"] * _DEFAULT_CPU_WORKERS
    if not target_devices:
        raise InvalidOption("a pool needs at least one device; target_devices is empty")
    model.to("cpu")
    model.share_memory()
    threads = max(1, (os.cpu_count() or 1) // len(target_devices))
    pool: Pool = {"input": [], "output": [], "processes": [], "workers": [], "lock": ThreadLock()}
    try:
        for device in target_devices:
            worker = _start_worker(model, str(device), threads)
            pool["workers"].append(worker)
            pool["processes"].append(worker.process)
            pool["input"].append(worker.pipe)
            pool["output"].append(worker.pipe)
    except BaseException:
        stop_pool(pool)
        raise
    return pool


def _start_worker(model: InferenceModel, device: str, threads: int) -> Worker:
    context = mp.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(device, threads, model, theirs), daemon=True)
    process.start()
    theirs.close()  # the worker's end is its own, so that the pipe ends with it
    return Worker(process, ours)


def stop_pool(pool: Pool) -> None:
    """End all processes of a pool; those that do not end by themselves are terminated."""
    for worker in pool["workers"]:
        worker.pipe.close()
    for worker in pool["workers"]:
        worker.process.join(timeout=_STOP_SECONDS)
        if worker.process.is_alive():
            worker.process.terminate()
            worker.process.join()
        worker.process.close()
    for part in ("input", "output", "processes", "workers"):
        pool[part].clear()


def run_in_pool(
    pool: Pool,
    inputs: list[Any],
    batch_size: int,
    chunk_size: int | None,
    options: RunOptions,
    progress: bool,
) -> tuple[Tensor | list[Any], int]:
    """Encode all inputs by the workers of a pool. Threads that share a pool take turns, a call at a time.

    Returns:
        The results in the order of the inputs, and how many inputs were longer than the model takes.

    Raises:
        WorkerFailed: a worker ended, or raised an error, or the pool was stopped.
    """
    # A worker's pipe has one reader: a thread that got another's reply could do nothing with it.
    with pool["lock"]:
        return _run(pool["workers"], inputs, batch_size, chunk_size, options, progress)


def _run(
    workers: list[Worker],
    inputs: list[Any],
    batch_size: int,
    chunk_size: int | None,
    options: RunOptions,
    progress: bool,
) -> tuple[Tensor | list[Any], int]:
    if not workers:
        raise WorkerFailed("the pool was stopped; start one with model.start_multi_process_pool()")
    if chunk_size is None:
        chunk_size = min(math.ceil(len(inputs) / len(workers) / _CHUNKS_PER_WORKER), _MAX_CHUNK) or 1
    if chunk_size < 1:
        raise InvalidOption(f"chunk_size is {chunk_size}; use 1 or more")
    chunks = [inputs[i : i + chunk_size] for i in range(0, len(inputs), chunk_size)]
    parts: list[Any] = [None] * len(chunks)
    cut = 0
    with tqdm(total=len(chunks), desc="Chunks", disable=not progress) as bar:
        for reply in _replies(workers, chunks, batch_size, options):
            if reply.error is not None:
                first = reply.number * chunk_size
                raise WorkerFailed(f"a worker failed on inputs {first} and following: {reply.error}")
            parts[reply.number] = reply.values
            cut += reply.cut
            bar.update()
    if parts and isinstance(parts[0], np.ndarray):
        return torch.from_numpy(np.concatenate(parts)), cut
    return [_as_tensors(row) for part in parts for row in part], cut


def _replies(
    workers: list[Worker], chunks: list[list[Any]], batch_size: int, options: RunOptions
) -> Iterator[Reply]:
    """One reply per chunk, as they come."""
    job = next(_jobs)
    waiting = deque(enumerate(chunks))
    missing = len(chunks)
    while missing:
        for worker in workers:
            if waiting and not worker.busy:
                _send(worker, (job, *waiting.popleft(), batch_size, options), workers)
        for worker in _ready(workers):
            reply = _receive(worker, workers)
            # What is left of a job that failed or was interrupted earlier is thrown away.
            if reply.job == job:
                missing -= 1
                yield reply


def _ready(workers: list[Worker]) -> list[Worker]:
    """Workers that have something to read, be it the end of their pipe; waits until there are some."""
    pipes = {worker.pipe: worker for worker in workers if worker.busy}
    sentinels = {worker.process.sentinel: worker for worker in workers}
    found = wait([*pipes, *sentinels])
    ready = [pipes[item] for item in found if item in pipes]
    if not ready:
        _raise_dead(workers)
    return ready


def _send(worker: Worker, task: Any, workers: list[Worker]) -> None:
    try:
        worker.pipe.send(task)
    except OSError:
        _raise_dead(workers)
    worker.busy = True


def _receive(worker: Worker, workers: list[Worker]) -> Reply:
    try:
        reply = worker.pipe.recv()
    except (EOFError, OSError):
        _raise_dead(workers)
    except BaseException:
        worker.pipe.close()  # interrupted, perhaps in the middle of a message: no use for the next one
        raise
    finally:
        worker.busy = False
    return reply


def _raise_dead(workers: list[Worker]) -> NoReturn:
    for worker in workers:
        worker.process.join(timeout=0.1)
    ended = [worker.process.exitcode for worker in workers if not worker.process.is_alive()]
    if not ended:
        raise WorkerFailed("the pool was interrupted; stop it and start another one")
    raise WorkerFailed(
        f"{len(ended)} of {len(workers)} workers ended (exit code {ended[0]}), for lack of memory perhaps; "
        "stop the pool and start one with fewer workers"
    )


def _work(device: str, threads: int, model: InferenceModel, pipe: Connection) -> None:
    """Body of a worker: encode chunks until the caller closes the pipe."""
    torch.set_num_threads(threads)
    model.to(device)
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        reply = _encode(model, *task)
        try:
            pipe.send(reply)
        except OSError:
            return


def _encode(
    model: InferenceModel, job: int, number: int, chunk: list[Any], batch_size: int, options: RunOptions
) -> Reply:
    before = model._count_truncated()
    try:
        values = run_all(model, chunk, batch_size, options, progress=False)
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller must hear of it
        return Reply(job, number, error=f"{type(error).__name__}: {error}")
    return Reply(job, number, _as_arrays(values), model._count_truncated() - before)


def _as_arrays(values: Any) -> Any:
    """Tensors as arrays, which travel between processes by value. bfloat16 becomes float32."""
    if isinstance(values, Tensor):
        return (values.float() if values.dtype == torch.bfloat16 else values).cpu().numpy()
    if isinstance(values, dict):
        return {name: _as_arrays(value) for name, value in values.items()}
    return [_as_arrays(value) for value in values] if isinstance(values, list) else values


def _as_tensors(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, dict):
        return {name: _as_tensors(item) for name, item in value.items()}
    return value
