"""Who this process is in a group of ``torch.distributed``, and tensors of all of them."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from stlib.util.environment import is_dist_initialized


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
