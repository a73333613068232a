"""Activation functions as data: the class of ``torch.nn`` that a configuration file names, and its arguments.

A name outside the list is never imported, and never replaced by another function.
"""

from __future__ import annotations

import inspect
import logging
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules import activation as torch_activations

from stlib.errors import ModelConfigError, UntrustedCode
from stlib.util.misc import fullname, import_from_string

logger = logging.getLogger(__name__)

# What torch.nn calls an activation, without the one that takes three inputs.
_CLASSES: dict[str, type[nn.Module]] = {
    "Identity": nn.Identity,
    **{
        name: getattr(torch_activations, name)
        for name in torch_activations.__all__
        if name != "MultiheadAttention"
    },
}
# Modules under which versions of torch show them; other parts of torch have classes of the same names.
_MODULES = frozenset(
    {"torch.nn", "torch.nn.modules", "torch.nn.modules.activation", "torch.nn.modules.linear"}
)
# Arguments of the constructors that change no result
_WITHOUT_EFFECT = frozenset({"self", "args", "kwargs", "inplace", "device", "dtype", "init"})
# Where a file names none: over the last axis, which for scores is what torch takes without being told.
_DEFAULTS: dict[str, dict[str, Any]] = {name: {"dim": -1} for name in ("Softmax", "LogSoftmax", "Softmin")}
# Functions that are the same as an object of a class.
_FUNCTIONS: dict[Any, type[nn.Module]] = {
    torch.relu: nn.ReLU,
    torch.selu: nn.SELU,
    torch.sigmoid: nn.Sigmoid,
    torch.tanh: nn.Tanh,
    F.celu: nn.CELU,
    F.elu: nn.ELU,
    F.gelu: nn.GELU,
    F.glu: nn.GLU,
    F.hardshrink: nn.Hardshrink,
    F.hardsigmoid: nn.Hardsigmoid,
    F.hardswish: nn.Hardswish,
    F.hardtanh: nn.Hardtanh,
    F.leaky_relu: nn.LeakyReLU,
    F.logsigmoid: nn.LogSigmoid,
    F.mish: nn.Mish,
    F.relu: nn.ReLU,
    F.relu6: nn.ReLU6,
    F.selu: nn.SELU,
    F.sigmoid: nn.Sigmoid,
    F.silu: nn.SiLU,
    F.softplus: nn.Softplus,
    F.softshrink: nn.Softshrink,
    F.softsign: nn.Softsign,
    F.tanh: nn.Tanh,
    F.tanhshrink: nn.Tanhshrink,
}


def activation_from_name(
    path: Any, trust_remote_code: bool = False, arguments: dict[str, Any] | None = None
) -> nn.Module:
    """The activation that a dotted path such as ``torch.nn.modules.activation.Tanh`` names; None for none.

    Args:
        path: of a class.
        trust_remote_code: allow any class, which is then imported.
        arguments: of its constructor, as :func:`activation_arguments` gives them.

    Raises:
        UntrustedCode: it is not among torch's activations and ``trust_remote_code`` is False.
        ModelConfigError: the class does not take these arguments, or needs some.
    """
    if path is None:
        return nn.Identity()
    module, _, name = path.rpartition(".") if isinstance(path, str) else ("", "", "")
    known = module in _MODULES and name in _CLASSES
    if not known and (not trust_remote_code or not module):
        raise UntrustedCode(
            f"the activation function {path!r} is not one of torch's ({', '.join(_CLASSES)}); importing it "
            "would run foreign code: read that code, then pass trust_remote_code=True. CrossEncoder also "
            "takes the function itself, as activation_fn"
        )
    cls = _CLASSES[name] if known else import_from_string(path)
    if not isinstance(arguments, (dict, type(None))):
        raise ModelConfigError(
            f"arguments of the activation function are {arguments!r}; they are a dict by name"
        )
    given = {**(_DEFAULTS.get(name, {}) if known else {}), **(arguments or {})}
    try:
        return cls(**given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelConfigError(
            f"the activation function {path!r} cannot be built with the arguments {given}: {error}"
        ) from error


def activation_name(activation: object) -> str:
    """The dotted path that a configuration file stores; that of the class for one of torch's functions."""
    if inspect.isroutine(activation) and activation in _FUNCTIONS:
        return fullname(_FUNCTIONS[activation])
    return fullname(activation)


def warn_if_foreign(activation: object) -> None:
    """Say on saving that a function which is none of torch's will not load by itself."""
    name = activation_name(activation)
    if name.rpartition(".")[2] not in _CLASSES or name.rpartition(".")[0] not in _MODULES:
        logger.warning(
            "the activation function is saved by its name alone, %r, which is no class of torch.nn: it "
            "loads only with trust_remote_code=True beside its code (CrossEncoder: or with activation_fn=…)",
            name,
        )


def activation_arguments(activation: object) -> dict[str, Any]:
    """Arguments that, beside the name, make the same activation again; those that are as usual are left
    out.
    """
    cls = type(activation)
    if cls not in _CLASSES.values() or cls is nn.Identity:
        return {}
    usual = _DEFAULTS.get(cls.__name__, {})
    found = {}
    for name, parameter in inspect.signature(cls.__init__).parameters.items():
        value = getattr(activation, name, None)
        left_out = name in _WITHOUT_EFFECT or value is None
        if not left_out and value != usual.get(name, parameter.default):
            found[name] = value
    return found


def halves_width(activation: object) -> bool:
    """Whether the last axis of what comes out has half the size of what goes in."""
    return isinstance(activation, nn.GLU) or activation is F.glu
