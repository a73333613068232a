"""Activation functions that a configuration file may name. A name outside the list is never imported."""

from __future__ import annotations

from typing import Any

from torch import nn

from stlib.errors import UntrustedCode
from stlib.util.misc import fullname, import_from_string

# Element-wise modules of torch that build without arguments.
_ALLOWED = {
    cls.__name__: cls
    for cls in (
        nn.CELU,
        nn.ELU,
        nn.GELU,
        nn.Hardsigmoid,
        nn.Hardswish,
        nn.Hardtanh,
        nn.Identity,
        nn.LeakyReLU,
        nn.LogSigmoid,
        nn.Mish,
        nn.PReLU,
        nn.ReLU,
        nn.ReLU6,
        nn.SELU,
        nn.Sigmoid,
        nn.SiLU,
        nn.Softplus,
        nn.Softsign,
        nn.Tanh,
        nn.Tanhshrink,
    )
}


def activation_from_name(path: Any, trust_remote_code: bool = False) -> nn.Module:
    """The activation that a dotted path such as ``torch.nn.modules.activation.Tanh`` names; None for none.

    Raises:
        UntrustedCode: it is not among torch's element-wise activations and ``trust_remote_code`` is False.
    """
    if path is None:
        return nn.Identity()
    module, _, name = path.rpartition(".") if isinstance(path, str) else ("", "", "")
    if module.split(".")[0] == "torch" and name in _ALLOWED:
        return _ALLOWED[name]()
    if not trust_remote_code or not module:
        raise UntrustedCode(
            f"the activation function {path!r} is not one of torch's ({', '.join(_ALLOWED)}); importing it "
            "would run foreign code: read that code, then pass trust_remote_code=True"
        )
    return import_from_string(path)()


def activation_name(activation: object) -> str:
    """The dotted path that a configuration file stores."""
    return fullname(activation)
