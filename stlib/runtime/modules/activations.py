"""Activation functions that a configuration file may name, in numpy. A name is looked up, never imported.

Each takes the values and the arguments of torch's class of that name, with their defaults there.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stlib.errors import ModelConfigError, UnsupportedModel

Values = NDArray[np.float32]
Activation = Callable[[Values], Values]

_erf = np.frompyfunc(math.erf, 1, 1)

# Constants of Klambauer et al., "Self-Normalizing Neural Networks" (arXiv:1706.02515).
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


def _sigmoid(x: Values) -> Values:
    # The form whose exponential does not overflow on either side.
    decay = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + decay), decay / (1 + decay))


def _softplus(x: Values, beta: float = 1.0, threshold: float = 20.0) -> Values:
    # log(1 + e^x) without overflow; beyond the threshold the line itself, as torch has it.
    scaled = x * beta
    curve = (np.maximum(scaled, 0) + np.log1p(np.exp(-np.abs(scaled)))) / beta
    return np.where(scaled > threshold, x, curve)


def _elu(x: Values, alpha: float = 1.0) -> Values:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _celu(x: Values, alpha: float = 1.0) -> Values:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha))


def _selu(x: Values) -> Values:
    return np.float32(_SELU_SCALE) * _elu(x, _SELU_ALPHA)


def _gelu(x: Values, approximate: str = "none") -> Values:
    if approximate == "tanh":
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
        return 0.5 * x * (1 + np.tanh(inner))
    if approximate != "none":
        raise ValueError(f"approximate is {approximate!r}; it is 'none' or 'tanh'")
    share = 1 + _erf(x / np.float32(math.sqrt(2))).astype(np.float32)
    return np.asarray(x * share / 2, dtype=np.float32)


def _hard_sigmoid(x: Values) -> Values:
    return np.clip(x + 3, 0, 6) * np.float32(1 / 6)


def _leaky_relu(x: Values, negative_slope: float = 0.01) -> Values:
    return np.where(x >= 0, x, negative_slope * x)


def _tanh(x: Values) -> Values:
    return np.tanh(x)  # by itself it takes more keywords than torch's


def _hard_shrink(x: Values, lambd: float = 0.5) -> Values:
    return np.where(np.abs(x) > lambd, x, 0)


def _soft_shrink(x: Values, lambd: float = 0.5) -> Values:
    return np.sign(x) * np.maximum(np.abs(x) - lambd, 0)


def _glu(x: Values, dim: int = -1) -> Values:
    values, gates = np.split(x, 2, axis=dim)
    return values * _sigmoid(gates)


def _log_softmax(x: Values, dim: int = -1) -> Values:
    shifted = x - x.max(axis=dim, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=dim, keepdims=True))


def _softmax(x: Values, dim: int = -1) -> Values:
    return np.exp(_log_softmax(x, dim))


def _threshold(x: Values, threshold: float, value: float) -> Values:
    return np.where(x > threshold, x, value)


def _rrelu(x: Values, lower: float = 1 / 8, upper: float = 1 / 3) -> Values:
    return _leaky_relu(x, (lower + upper) / 2)  # at random in training only


ACTIVATIONS: dict[str, Callable[..., Values]] = {
    "CELU": _celu,
    "ELU": _elu,
    "GELU": _gelu,
    "GLU": _glu,
    "Hardshrink": _hard_shrink,
    "Hardsigmoid": _hard_sigmoid,
    "Hardswish": lambda x: x * _hard_sigmoid(x),
    "Hardtanh": lambda x, min_val=-1.0, max_val=1.0: np.clip(x, min_val, max_val),
    "Identity": lambda x: x,
    "LeakyReLU": _leaky_relu,
    "LogSigmoid": lambda x: -_softplus(-x),
    "LogSoftmax": _log_softmax,
    "Mish": lambda x: x * np.tanh(_softplus(x)),
    "RReLU": _rrelu,
    "ReLU": lambda x: np.maximum(x, 0),
    "ReLU6": lambda x: np.clip(x, 0, 6),
    "SELU": _selu,
    "SiLU": lambda x: x * _sigmoid(x),
    "Sigmoid": _sigmoid,
    "Softmax": _softmax,
    "Softmin": lambda x, dim=-1: _softmax(-x, dim),
    "Softplus": _softplus,
    "Softshrink": _soft_shrink,
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Tanh": _tanh,
    "Tanhshrink": lambda x: x - np.tanh(x),
    "Threshold": _threshold,
}
_NAMES = sorted([*ACTIVATIONS, "PReLU"])
# Modules under which versions of torch show them; other parts of torch have classes of the same names.
_MODULES = frozenset(
    {"torch.nn", "torch.nn.modules", "torch.nn.modules.activation", "torch.nn.modules.linear"}
)


def activation_name(path: object, source: Path) -> str:
    """The class that a dotted path of torch such as ``torch.nn.modules.activation.Tanh`` ends in.

    Args:
        path: what the configuration says; None is the identity.
        source: the configuration file, for the message.

    Raises:
        ModelConfigError: ``path`` is no name.
        UnsupportedModel: it is not among the activations of this module.
    """
    if path is None:
        return "Identity"
    if not isinstance(path, str):
        raise ModelConfigError(f"{source}: activation_function is {path!r}; it must be the name of a class")
    module, _, name = path.rpartition(".")
    if module in _MODULES and name in _NAMES:
        return name
    raise UnsupportedModel(
        f"{source}: the activation function {path!r} is not one of torch's that are computed here "
        f"({', '.join(_NAMES)}), and foreign code is never run"
    )


def activation(name: str, slope: Values | None, arguments: object, source: Path, width: int) -> Activation:
    """The function of a name.

    Args:
        name: as :func:`activation_name` gives it.
        slope: the learned weight of PReLU.
        arguments: of the constructor of torch's class, by name; None for none.
        source: the configuration file, for the message.
        width: of the values.

    Raises:
        ModelConfigError: the function does not take these arguments.
    """
    if name == "PReLU":
        learned = np.float32(0.25) if slope is None else slope
        return lambda x: np.where(x >= 0, x, learned * x)
    given = {} if arguments is None else arguments
    try:
        bound = functools.partial(ACTIVATIONS[name], **given)  # type: ignore[arg-type]
        bound(np.zeros((1, width), np.float32))
    except (TypeError, ValueError) as error:
        raise ModelConfigError(
            f"{source}: the activation function {name} with the arguments {given!r} does not take values of "
            f"{width} dimensions: {error}"
        ) from None
    return bound
