"""Activation functions that a configuration file may name, in numpy. A name is looked up, never imported."""

from __future__ import annotations

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


def _softplus(x: Values) -> Values:
    # log(1 + e^x) without overflow; beyond 20 the line itself, as torch has it.
    return np.where(x > 20, x, np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


def _elu(x: Values) -> Values:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _selu(x: Values) -> Values:
    return np.float32(_SELU_SCALE) * np.where(x > 0, x, np.float32(_SELU_ALPHA) * np.expm1(np.minimum(x, 0)))


def _gelu(x: Values) -> Values:
    share = 1 + _erf(x / np.float32(math.sqrt(2))).astype(np.float32)
    return np.asarray(x * share / 2, dtype=np.float32)


def _hard_sigmoid(x: Values) -> Values:
    return np.clip(x + 3, 0, 6) * np.float32(1 / 6)


ACTIVATIONS: dict[str, Activation] = {
    "CELU": _elu,  # the same as ELU at alpha 1, the only value that a configuration can mean
    "ELU": _elu,
    "GELU": _gelu,
    "Hardsigmoid": _hard_sigmoid,
    "Hardswish": lambda x: x * _hard_sigmoid(x),
    "Hardtanh": lambda x: np.clip(x, -1, 1),
    "Identity": lambda x: x,
    "LeakyReLU": lambda x: np.where(x >= 0, x, 0.01 * x),
    "LogSigmoid": lambda x: -_softplus(-x),
    "Mish": lambda x: x * np.tanh(_softplus(x)),
    "ReLU": lambda x: np.maximum(x, 0),
    "ReLU6": lambda x: np.clip(x, 0, 6),
    "SELU": _selu,
    "SiLU": lambda x: x * _sigmoid(x),
    "Sigmoid": _sigmoid,
    "Softplus": _softplus,
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Tanh": np.tanh,
    "Tanhshrink": lambda x: x - np.tanh(x),
}


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
    package, _, name = path.rpartition(".")
    if package.split(".")[0] == "torch" and (name in ACTIVATIONS or name == "PReLU"):
        return name
    raise UnsupportedModel(
        f"{source}: the activation function {path!r} is not one of torch's "
        f"({', '.join(sorted([*ACTIVATIONS, 'PReLU']))}), and foreign code is never run here"
    )


def activation(name: str, slope: Values | None = None) -> Activation:
    """The function of a name; ``slope`` is the learned weight of PReLU."""
    if name != "PReLU":
        return ACTIVATIONS[name]
    learned = np.float32(0.25) if slope is None else slope
    return lambda x: np.where(x >= 0, x, learned * x)
