"""Linear layers that compute in float32 whatever the precision around them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stlib.errors import InvalidOption


class FullPrecisionLinear(nn.Linear):
    """A linear layer whose product is a float32 one; its weights keep the precision they are stored in."""

    def forward(self, input: Tensor) -> Tensor:
        with torch.autocast(device_type=input.device.type, enabled=False):
            bias = None if self.bias is None else self.bias.float()
            return F.linear(input.float(), self.weight.float(), bias)


def select(model: nn.Module, names: Sequence[str], before: Sequence[str]) -> list[str]:
    """Let the named layers compute in float32, and those named before no longer.

    Args:
        model: the whole model.
        names: paths as in ``named_modules()``, e.g. ``"0.model.classifier"``.
        before: paths that were selected so far.

    Returns:
        The names, each once.

    Raises:
        InvalidOption: a name is none of the model's plain linear layers; nothing is changed then.
    """
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise InvalidOption(f"keep_in_fp32_modules is {names!r}; use a list of paths of linear layers")
    unique = list(dict.fromkeys(names))
    wanted = {layer for name in unique for layer in _layers(model, name)}
    released = {layer for name in before for layer in _layers(model, name)} - wanted
    for layers, kind in ((wanted, FullPrecisionLinear), (released, nn.Linear)):
        for layer in layers:
            layer.__class__ = kind
            # accelerate keeps the forward pass it wraps under this name.
            if "_old_forward" in vars(layer):
                layer._old_forward = kind.forward.__get__(layer)
    return unique


def _layers(model: nn.Module, name: str) -> list[nn.Module]:
    """The layer of a path; for one that peft trains in full, the original and its copies."""
    try:
        module = model.get_submodule(name)
    except AttributeError as error:
        raise InvalidOption(f"keep_in_fp32_modules names {name!r}, which the model does not have") from error
    copies = getattr(module, "modules_to_save", None)
    parts = [module.original_module, *copies.values()] if copies is not None else [module]
    for part in parts:
        own = vars(part).get("forward")
        if type(part) not in (nn.Linear, FullPrecisionLinear) or (own and not hasattr(part, "_hf_hook")):
            raise InvalidOption(
                f"keep_in_fp32_modules names {name!r}, a {type(part).__name__}; "
                "only plain linear layers can be kept in float32"
            )
    return parts
