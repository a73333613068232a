"""Who this process is in a group of ``torch.distributed``, tensors of all of them, and shared evaluation."""

from __future__ import annotations

import logging
import pickle
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from stlib.errors import WorkerFailed
from stlib.util.environment import is_dist_initialized
from stlib.util.misc import disable_logging
from stlib.util.tensor import move_tensors_to_cpu


def get_rank() -> int:
    """Number of this process in its group; 0 without a group."""
    return torch.distributed.get_rank() if is_dist_initialized() else 0


def get_world_size() -> int:
    """Processes in the group; 1 without a group."""
    return torch.distributed.get_world_size() if is_dist_initialized() else 1


def all_gather(tensor: Tensor, with_grad: bool = False) -> Tensor:
    """The tensors ``[n, …]`` of all processes end to end, ``[processes * n, …]``; all must have one shape.

    Gradients always flow to this process's own part, with ``with_grad`` to every part. Without a group the
    tensor itself comes back, with a warning.
    """
    if not is_dist_initialized():
        warnings.warn(
            "there is no group of processes to gather from; the tensor is returned as it is (expected with a "
            "single device, where gathering can be left out)",
            stacklevel=2,
        )
        return tensor
    if with_grad:
        from torch.distributed.nn.functional import all_gather as gather_with_grad

        return torch.cat(gather_with_grad(tensor), dim=0)
    parts = [torch.empty_like(tensor) for _ in range(get_world_size())]
    torch.distributed.all_gather(parts, tensor.contiguous())
    parts[get_rank()] = tensor  # the others have no gradient
    return torch.cat(parts, dim=0)


def all_gather_with_grad(tensor: Tensor) -> Tensor:
    """:func:`all_gather` with gradients to every part."""
    return all_gather(tensor, with_grad=True)


def all_gather_padded(tensor: Tensor, mask: Tensor, with_grad: bool = False) -> tuple[Tensor, Tensor]:
    """:func:`all_gather` of token embeddings ``[n, tokens, d]`` and their mask ``[n, tokens]``.

    The token axis is padded to the longest of all processes first, with zeros and a mask of zeros.
    """
    if is_dist_initialized():
        longest = torch.tensor(tensor.size(1), device=tensor.device)
        torch.distributed.all_reduce(longest, op=torch.distributed.ReduceOp.MAX)
        missing = int(longest) - tensor.size(1)
        tensor = torch.nn.functional.pad(tensor, (0, 0, 0, missing))
        mask = torch.nn.functional.pad(mask, (0, missing))
    return all_gather(tensor, with_grad=with_grad), all_gather(mask)


@contextmanager
def distributed_evaluation(model: Any, enabled: bool = True) -> Iterator[bool]:
    """Let one process run an evaluator and all processes of the group encode its inputs.

    ::

        with distributed_evaluation(model) as is_mine:
            if is_mine:
                metrics = evaluator(model)

    Inside the block, ``model.encode`` of process 0 gives each process a share of its inputs. The other
    processes, which hold the same weights, encode their shares as soon as they enter the block and leave it
    together with process 0. They log warnings and errors only.

    Args:
        model: the model itself, not its wrapper for several devices.
        enabled: False lets every process run the evaluator on its own, as models need it whose weights are
            spread over the processes.

    Yields:
        Whether this process runs the evaluator.

    Raises:
        WorkerFailed: in process 0 if another one failed to encode, in the others if process 0 failed.
    """
    first = get_rank() == 0
    with nullcontext() if first else disable_logging(logging.INFO):
        if not enabled or get_world_size() == 1:
            yield True
            return
        group = _SharedInference(model)
        if not first:
            group.serve()
            yield False
            return
        before, error = model._shared_inference, None
        model._shared_inference = group
        try:
            yield True
        except BaseException as raised:
            error = repr(raised)
            raise
        finally:
            model._shared_inference = before
            group.stop(error)


class _SharedInference:
    """Inputs of process 0, of which every process of the group computes each n-th.

    ``model._infer(items, *arguments)`` returns a tensor or list with one entry per item, and how many items
    were cut. Messages go through the group's own objects: all processes run the same program.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._n_processes = get_world_size()

    def __call__(self, items: list[Any], *arguments: Any) -> tuple[Any, int]:
        """What ``model._infer`` returns, in the order of the items."""
        shares = [items[rank :: self._n_processes] for rank in range(self._n_processes)]
        messages = [(share, arguments) for share in shares]
        if not items or not _can_be_sent(messages):
            return self._model._infer(items, *arguments)
        self._scatter(messages)
        own, failed = self._attempt(*messages[0])
        replies: list[Any] = [None] * self._n_processes
        with torch.inference_mode(False):
            torch.distributed.gather_object(None, replies, dst=0)
        replies[0] = (own, failed)
        errors = [f"process {rank}: {error}" for rank, (_, error) in enumerate(replies) if error]
        if errors:
            raise WorkerFailed(f"processes failed to encode; {'; '.join(errors)}")
        parts = [values for values, _ in replies if values is not None]
        return _interleave([values for values, _ in parts], len(items)), sum(cut for _, cut in parts)

    def serve(self) -> None:
        """Compute shares until process 0 stops."""
        while True:
            message = self._scatter(None)
            if message is None or isinstance(message, str):
                break
            values, error = self._attempt(*message)
            reply = (move_tensors_to_cpu(values), error)
            if not _can_be_sent(reply):
                reply = (None, "its results cannot be sent to another process")
            with torch.inference_mode(False):
                torch.distributed.gather_object(reply, None, dst=0)
        if message is not None:
            raise WorkerFailed(f"the evaluation in process 0 failed: {message}")

    def stop(self, error: str | None) -> None:
        """Let the other processes go on; with an error, let them fail."""
        self._scatter([error] * self._n_processes)

    def _attempt(self, items: list[Any], arguments: tuple[Any, ...]) -> tuple[Any, str | None]:
        if not items:
            return None, None
        try:
            return self._model._infer(items, *arguments), None
        except Exception:  # noqa: BLE001 - whatever it is, the other processes wait for a reply
            return None, traceback.format_exc()

    def _scatter(self, messages: list[Any] | None) -> Any:
        received: list[Any] = [None]
        with torch.inference_mode(False):
            torch.distributed.scatter_object_list(received, messages, src=0)
        return received[0]


def _can_be_sent(value: Any) -> bool:
    try:
        pickle.dumps(value)
    except (pickle.PicklingError, TypeError, AttributeError):
        return False
    return True


def _interleave(parts: list[Any], n: int) -> Any:
    """Entry i of the whole is the next one of part ``i % len(parts)``; all on the device of the first."""
    if isinstance(parts[0], Tensor):
        whole = parts[0].new_empty((n, *parts[0].shape[1:]))
        for i, part in enumerate(parts):
            whole[i :: len(parts)] = part.to(whole.device)
        return whole
    rows: list[Any] = [None] * n
    for i, part in enumerate(parts):
        rows[i :: len(parts)] = part
    return rows
