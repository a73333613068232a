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

# Values per weight that are compared to notice a change that torch does not count.
_SAMPLES = 64


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

    torch counts changes in place, but not those through ``.data``; a few values of each weight are compared
    for these.
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        slots = [(layer._parameters, name) for layer in layers for name in ("weight", "bias")]
        self._slots = [(parameters, name, _known(parameters[name])) for parameters, name in slots]
        flat = [weight.detach().reshape(-1) for _, _, (weight, _, _) in self._slots]
        self._views = [values[:: max(1, len(values) // _SAMPLES)] for values in flat]
        self._values = torch.cat(self._views)

    def is_unchanged(self) -> bool:
        """Whether the weights are what they were."""
        for parameters, name, (known, address, version) in self._slots:
            weight: Any = parameters.get(name)
            if weight is not known or weight.data_ptr() != address or weight._version != version:
                return False
        return torch.equal(torch.cat(self._views), self._values)


def _known(weight: Any) -> tuple[Tensor, int, int]:
    return weight, weight.data_ptr(), weight._version


def serves(weight: Tensor) -> bool:
    """Whether oneDNN's fused products take weights of this device and data type."""
    if weight.device.type != "cpu" or weight.is_inference() or not torch.backends.mkldnn.enabled:
        return False
    return weight.dtype in _served_dtypes()


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
def _served_dtypes() -> frozenset[torch.dtype]:
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
