"""Linear layers for inference on a CPU: one product for several layers, activation and residual included.

oneDNN multiplies fastest when the weights lie in blocks of its own, and adds bias, activation and residual
while a result is still in the processor's cache. Elsewhere (other devices, processors or builds of torch) the
same values come from ``torch.nn.functional``.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Rows and columns between the values that every check compares.
_SAMPLE_STEP = 8
# Weights are summed up in pieces of so many 64-bit words, too few for torch to wait for several threads, …
_PIECE = 32_000
# … once in so many tokens, which takes about 1 % of the time for these tokens, whatever the model's size.
TOKENS_PER_CHECK = 2048


class FusedLinear:
    """``activation(x W + b) + residual`` of one linear layer, or of several over the same input side by side.

    Args:
        layers: linear layers with bias and the same input.
        activation: what follows, of a kind that transformers builds; None for nothing.
        blocked: keep a copy of the weights in oneDNN's blocks. It costs their memory once more.
    """

    def __init__(
        self, layers: Sequence[nn.Linear], activation: Callable[..., Any] | None = None, blocked: bool = True
    ) -> None:
        self._layers = layers
        self._activation = activation
        self._name, self._algorithm = activation_name(activation)
        self._fused = serves(layers[0].weight) and (blocked or len(layers) == 1)
        if self._fused:
            weight = torch.cat([layer.weight.detach() for layer in layers]) if blocked else layers[0].weight
            self._weight = _blocks_of(weight) if blocked else weight
            self._bias = torch.cat([layer.bias.detach() for layer in layers]) if blocked else layers[0].bias

    def __call__(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """``[n, in]`` to ``[n, out]``; the layers' outputs lie side by side in the last dimension."""
        if not self._fused:
            return self._plain(x, residual)
        if residual is not None:
            return _pointwise().binary(x, residual, self._weight, self._bias, "add")
        y = _pointwise()(x, self._weight, self._bias, self._name, [], self._algorithm)
        return self._activation(y) if self._name == "none" and self._activation else y

    def _plain(self, x: Tensor, residual: Tensor | None) -> Tensor:
        outputs = [F.linear(x, layer.weight, layer.bias) for layer in self._layers]
        y = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
        if self._activation is not None:
            y = self._activation(y)
        return y if residual is None else y.add_(residual)


class WeightWatch:
    """Notices that weights of linear layers were replaced or changed since they were copied.

    torch counts changes in place, which are noticed at once. It does not count those through ``.data`` or a
    NumPy view. For these, every check compares all biases and values along a diagonal of each weight, so that
    a change of 16 neighbouring rows or columns is noticed at once. Any smaller one is noticed by sums over
    all bits, of which each check takes a share: after about :data:`TOKENS_PER_CHECK` tokens.

    Args:
        layers: linear layers with contiguous weights.
        summed: whether to sum up the weights. Without copies of them there is no need.
    """

    def __init__(self, layers: Sequence[nn.Linear], summed: bool) -> None:
        slots = [(layer._parameters, name) for layer in layers for name in ("weight", "bias")]
        self._slots = [(parameters, name, _identify(parameters[name])) for parameters, name in slots]
        weights = [weight.detach() for _, _, (weight, _, _) in self._slots]
        self._views = [_diagonal(weight) if weight.dim() == 2 else weight for weight in weights]
        self._values = torch.cat(self._views)
        self._pieces = (
            [piece for weight in weights for piece in _words(weight).split(_PIECE)] if summed else []
        )
        self._sums = [int(piece.sum()) for piece in self._pieces]
        self._words_per_token = sum(map(len, self._pieces)) / TOKENS_PER_CHECK
        self._next, self._due = 0, 0.0

    def is_unchanged(self, tokens: int) -> bool:
        """Whether the weights are what they were, as far as a check before so many tokens can tell."""
        for parameters, name, (known, address, version) in self._slots:
            weight: Any = parameters.get(name)
            if weight is not known or weight.data_ptr() != address or weight._version != version:
                return False
        return torch.equal(torch.cat(self._views), self._values) and self._are_next_sums_equal(tokens)

    def has_moved(self) -> bool:
        """Whether the weights now are on another device or gone."""
        parameters, name, _ = self._slots[0]
        weight = parameters.get(name)
        return weight is None or weight.device != self._values.device

    def _are_next_sums_equal(self, tokens: int) -> bool:
        self._due += min(tokens, TOKENS_PER_CHECK) * self._words_per_token
        while self._due > 0:
            i = self._next
            if int(self._pieces[i].sum()) != self._sums[i]:
                return False
            self._due -= len(self._pieces[i])
            self._next = (i + 1) % len(self._pieces)
        return True


def _identify(weight: Any) -> tuple[Tensor, int, int]:
    return weight, weight.data_ptr(), weight._version


def _diagonal(weight: Tensor) -> Tensor:
    """Values of a matrix some rows and columns apart, as a view ``[samples]``."""
    rows, columns = weight.shape
    # Fewer rows down in a wide matrix, as the diagonal has to reach its last column.
    down = min(_SAMPLE_STEP, _SAMPLE_STEP * rows // columns)
    return weight.view(-1)[:: _SAMPLE_STEP + columns * down]


def _words(weight: Tensor) -> Tensor:
    """The bits of a tensor as integers ``[words]``, a view: their sum is exact, in whatever order."""
    flat, size = weight.view(-1), weight.element_size()
    if (flat.numel() * size) % 8 == 0 and (flat.storage_offset() * size) % 8 == 0:
        return flat.view(torch.int64)
    return flat.view({1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[size])


def serves(weight: Tensor) -> bool:
    """Whether oneDNN's fused products take weights of this device and data type."""
    if weight.device.type != "cpu" or weight.is_inference() or not torch.backends.mkldnn.enabled:
        return False
    return weight.dtype in _find_served_dtypes()


def activation_name(activation: Any) -> tuple[str, str]:
    """Name and algorithm of an activation that oneDNN computes as torch does; ``("none", "")`` for others."""
    kind = type(activation).__name__
    if kind == "GELUActivation" and getattr(activation, "act", None) is F.gelu:
        return "gelu", "none"
    if kind == "GELU" and isinstance(activation, nn.GELU):
        return "gelu", activation.approximate
    return ("relu", "") if isinstance(activation, nn.ReLU) else ("none", "")


def _pointwise() -> Any:
    return torch.ops.mkldnn._linear_pointwise


def _blocks_of(weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous())


@functools.cache
def _find_served_dtypes() -> frozenset[torch.dtype]:
    """Data types whose fused product is there and right, found by trying a small one."""
    if platform.machine().lower() not in ("x86_64", "amd64") or not torch.backends.mkldnn.is_available():
        return frozenset()
    return frozenset(dtype for dtype in (torch.float32, torch.bfloat16) if _try(dtype))


def _try(dtype: torch.dtype) -> bool:
    # The operators are torch's own, for its compiler, and may differ in another version.
    x = torch.linspace(-1, 1, 3 * 32, dtype=torch.float32).view(3, 32)
    weight = torch.linspace(-1, 1, 32 * 32, dtype=torch.float32).view(32, 32).t().contiguous()
    x, weight, bias = x.to(dtype), weight.to(dtype), x[0].to(dtype)
    try:
        if dtype is torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return False
        blocks = _blocks_of(weight)
        activated = _pointwise()(x, blocks, bias, "gelu", [], "none")
        added = _pointwise().binary(x, x, blocks, bias, "add")
    except (AttributeError, RuntimeError, TypeError):
        return False
    expected = F.linear(x.float(), weight.float(), bias.float())
    tolerance = 1e-5 if dtype is torch.float32 else 0.1
    return torch.allclose(activated.float(), F.gelu(expected), atol=tolerance) and torch.allclose(
        added.float(), expected + x.float(), atol=tolerance
    )
