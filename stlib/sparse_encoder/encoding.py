"""What one call of ``SparseEncoder.encode`` asks for: made of each batch, and brought into a form."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from stlib.base.modules.packed_architectures import is_plain_module
from stlib.sparse_encoder.modules.splade_pooling import SpladePooling
from stlib.util.sparse_rows import SparseRow, join_rows, single_row, split_rows
from stlib.util.tensor import batch_to_device, select_max_active_dims

if TYPE_CHECKING:
    from stlib.base.inference import InferenceModel


@dataclass(frozen=True)
class SparseEncodeOptions:
    """What every batch of one call of ``encode`` shares."""

    prompt: str | None = None
    max_active_dims: int | None = None
    sparse: bool = True
    to_cpu: bool = False
    keywords: dict[str, Any] = field(default_factory=dict)

    @torch.inference_mode()
    def run(self, model: InferenceModel, features: dict[str, Any], n: int) -> Tensor | list[SparseRow]:
        """One forward pass over the features of n inputs: a tensor ``[n, d]``, or a sparse row for each."""
        given = dict(self.keywords)
        if self.max_active_dims is not None:
            given["max_active_dims"] = self.max_active_dims
        features["logits_are_pooled"] = pools_all_logits(model)
        values = model(batch_to_device(features, model.device), **given)["sentence_embedding"]
        if self.max_active_dims is not None:
            values = select_max_active_dims(values, self.max_active_dims)
        if self.sparse:
            return split_rows(values, self.to_cpu)
        return values.cpu() if self.to_cpu else values


def pools_all_logits(model: nn.Module) -> bool:
    """Whether the logits of every masked-language head go into a SpladePooling, and nowhere else."""
    heads, rows, waiting = set(), [], [model]
    while waiting:
        part = waiting.pop()
        if getattr(part, "transformer_task", None) == "fill-mask":
            heads.add(id(part))
            continue  # what is inside of it cannot be another one
        if part is model or type(part) is nn.Sequential:
            rows.append(list(part.children()))
        waiting.extend(part.children())
    pairs = [pair for row in rows for pair in itertools.pairwise([*row, None]) if id(pair[0]) in heads]
    if {id(head) for head, _ in pairs} != heads:
        return False
    return all(
        type(following) is SpladePooling and is_plain_module(head) and is_plain_module(following)
        for head, following in pairs
        if head is not None
    )


def collect(
    values: Tensor | list[Any], layout: str | None, as_tensor: bool, device: torch.device
) -> Tensor | list[Tensor]:
    """Results in the form that was asked for: a tensor ``[n, d]``, or one ``[d]`` for each of n inputs.

    Args:
        values: of :meth:`SparseEncodeOptions.run`, all batches together.
        layout: ``"coo"``, ``"csr"``, or None for dense.
        as_tensor: False for a list.
        device: of a result without rows.
    """
    if len(values) == 0:
        empty = torch.empty(0, device=device)
        return [] if not as_tensor else empty if layout is None else empty.to_sparse()
    if not as_tensor:
        return list(values) if layout is None else [single_row(row) for row in values]
    if isinstance(values, Tensor):
        return values
    if layout is None:
        return torch.stack(values)
    joined = join_rows(values)
    return joined.to_sparse_csr() if layout == "csr" else joined
