"""Encoding by several processes, on several devices or on the cores of a CPU.

Each worker holds the model (its weights are shared memory on a CPU) and takes chunks of inputs from one
queue. The caller puts the results in order. A worker that dies or fails is an error for the caller, never a
wait without end.
"""

from __future__ import annotations

import itertools
import math
import os
import queue
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.multiprocessing as mp
from torch import Tensor
from tqdm import tqdm

from stlib.errors import InvalidOption, WorkerFailed
from stlib.sentence_transformer.encoding import EncodeOptions, run_all

if TYPE_CHECKING:
    from stlib.sentence_transformer.encode_methods import EncodingModel

# {"input": queue of chunks, "output": queue of results, "processes": list}: the documented form of a pool.
Pool = dict[str, Any]

_DEFAULT_CPU_WORKERS = 4
_MAX_CHUNK = 5000
# Chunks per worker by default: enough that a slow worker does not keep all others waiting at the end.
_CHUNKS_PER_WORKER = 10
_POLL_SECONDS = 0.5
_STOP_SECONDS = 5

_jobs = itertools.count()


def start_pool(model: EncodingModel, target_devices: Sequence[str | torch.device] | None = None) -> Pool:
    """Start one process per device; default: all CUDA devices, or four processes on the CPU."""
    if target_devices is None:
        cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        target_devices = cuda or ["cpu"] * _DEFAULT_CPU_WORKERS
    if not target_devices:
        raise InvalidOption("a pool needs at least one device; target_devices is empty")
    model.to("cpu")
    model.share_memory()
    context = mp.get_context("spawn")
    tasks, results = context.Queue(), context.Queue()
    threads = max(1, (os.cpu_count() or 1) // len(target_devices))
    processes = [
        context.Process(target=_work, args=(str(device), threads, model, tasks, results), daemon=True)
        for device in target_devices
    ]
    for process in processes:
        process.start()
    return {"input": tasks, "output": results, "processes": processes}


def stop_pool(pool: Pool) -> None:
    """End all processes of a pool; those that do not end by themselves are terminated."""
    for _ in pool["processes"]:
        pool["input"].put(None)
    for process in pool["processes"]:
        process.join(timeout=_STOP_SECONDS if process.is_alive() else 0)
        if process.is_alive():
            process.terminate()
            process.join()
        process.close()
    for name in ("input", "output"):
        pool[name].close()
        pool[name].cancel_join_thread()


def run_in_pool(
    pool: Pool,
    inputs: list[Any],
    batch_size: int,
    chunk_size: int | None,
    options: EncodeOptions,
    progress: bool,
) -> Tensor | list[Any]:
    """Encode all inputs by the workers of a pool; results in the order of the inputs.

    Raises:
        WorkerFailed: a worker ended, or raised an error.
    """
    if chunk_size is None:
        chunk_size = (
            min(math.ceil(len(inputs) / len(pool["processes"]) / _CHUNKS_PER_WORKER), _MAX_CHUNK) or 1
        )
    if chunk_size < 1:
        raise InvalidOption(f"chunk_size is {chunk_size}; use 1 or more")
    _check_workers(pool)
    job = next(_jobs)
    chunks = [inputs[i : i + chunk_size] for i in range(0, len(inputs), chunk_size)]
    for number, chunk in enumerate(chunks):
        pool["input"].put((job, number, chunk, batch_size, options))
    done: dict[int, Any] = {}
    with tqdm(total=len(chunks), desc="Chunks", disable=not progress) as bar:
        while len(done) < len(chunks):
            number, values, error = _next_result(pool, job)
            if error is not None:
                raise WorkerFailed(f"a worker failed on inputs {number * chunk_size} and following: {error}")
            done[number] = values
            bar.update()
    parts = [done[number] for number in range(len(chunks))]
    if parts and isinstance(parts[0], np.ndarray):
        return torch.from_numpy(np.concatenate(parts))
    return [_as_tensors(row) for part in parts for row in part]


def _check_workers(pool: Pool) -> None:
    ended = [process for process in pool["processes"] if not process.is_alive()]
    if ended:
        raise WorkerFailed(
            f"{len(ended)} of {len(pool['processes'])} workers ended (exit code {ended[0].exitcode}), for "
            "lack of memory perhaps; stop the pool and start one with fewer workers"
        )


def _next_result(pool: Pool, job: int) -> tuple[int, Any, str | None]:
    """The next result of this job; what is left of a job that failed earlier is thrown away."""
    while True:
        try:
            of_job, number, values, error = pool["output"].get(timeout=_POLL_SECONDS)
        except queue.Empty:
            _check_workers(pool)
            continue
        if of_job == job:
            return number, values, error


def _work(device: str, threads: int, model: EncodingModel, tasks: Any, results: Any) -> None:
    """Body of a worker: encode chunks until told to stop."""
    torch.set_num_threads(threads)
    model.to(device)
    while (task := tasks.get()) is not None:
        job, number, chunk, batch_size, options = task
        try:
            values = run_all(model, chunk, batch_size, options, progress=False)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller must hear of it
            results.put((job, number, None, f"{type(error).__name__}: {error}"))
        else:
            results.put((job, number, _as_arrays(values), None))


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
