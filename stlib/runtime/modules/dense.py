"""A linear layer with an activation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stlib.errors import ModelConfigError
from stlib.runtime.files import missing, read_object, read_tensors
from stlib.runtime.modules.activations import activation, activation_name
from stlib.runtime.modules.base import SENTENCE_EMBEDDING, Features, array_digest
from stlib.util.config_keys import drop_unknown_keys

_KEYS = (
    "in_features",
    "out_features",
    "bias",
    "activation_function",
    "activation_function_arguments",
    "module_input_name",
    "module_output_name",
    "use_residual",
)

# Stored by torch for an activation with a learned slope.
_SLOPE = "activation_function.weight"


class Dense:
    """``activation(x W^T + b)`` on one entry of the features, plus the input itself with ``use_residual``.

    Args:
        config: ``activation_function`` (a dotted path of torch), ``module_input_name``,
            ``module_output_name``, ``use_residual``; other keys describe the shapes.
        tensors: ``linear.weight [out, in]`` and, where there are any, ``linear.bias [out]``,
            ``residual.weight [out, in]`` and ``activation_function.weight``.
        source: the file of the settings, for messages.

    Raises:
        ModelConfigError: settings and tensors do not fit.
        UnsupportedModel: the activation function is none of torch.nn's that are computed here.
    """

    def __init__(self, config: dict[str, Any], tensors: dict[str, NDArray[Any]], source: Path) -> None:
        self._check(config, tensors, source)
        values = {name: tensor.astype(np.float32, copy=False) for name, tensor in tensors.items()}
        self._tensors = values
        self._weight = np.ascontiguousarray(values["linear.weight"].T)
        self._bias = values.get("linear.bias")
        self._activation_name = activation_name(
            config.get("activation_function", "torch.nn.modules.activation.Tanh"), source
        )
        self._arguments = config.get("activation_function_arguments")
        width = self._weight.shape[1]
        self._activation = activation(
            self._activation_name, values.get(_SLOPE), self._arguments, source, width
        )
        self._use_residual = bool(config.get("use_residual", False))
        self._residual = values.get("residual.weight")
        self.module_input_name: str = config.get("module_input_name") or SENTENCE_EMBEDDING
        self.module_output_name: str = config.get("module_output_name") or self.module_input_name
        self.in_features: int = self._weight.shape[0]
        self.out_features: int = width // 2 if self._activation_name == "GLU" else width
        """Width of what it makes, under whichever name."""
        is_last = self.module_output_name == SENTENCE_EMBEDDING
        self.dimension: int | None = self.out_features if is_last else None

    @classmethod
    def load(cls, folder: Path, reads: str = SENTENCE_EMBEDDING) -> Dense:
        """Read ``config.json`` and ``model.safetensors``; ``reads`` is the input unless it names another."""
        path = folder / "config.json"
        config = read_object(path)
        if not config:
            raise missing(path)
        config["module_input_name"] = config.get("module_input_name") or reads
        return cls(drop_unknown_keys(config, _KEYS, str(path)), read_tensors(folder), path)

    def forward(self, features: Features) -> Features:
        values = features[self.module_input_name]
        result = values @ self._weight
        if self._bias is not None:
            result = result + self._bias
        result = self._activation(result)
        if self._use_residual:
            result = result + (values if self._residual is None else values @ self._residual.T)
        features[self.module_output_name] = result.astype(np.float32, copy=False)
        return features

    def signature(self) -> dict[str, Any]:
        names = sorted(self._tensors)
        return {
            "kind": "Dense",
            "activation": self._activation_name,
            **({"arguments": self._arguments} if self._arguments else {}),
            "residual": self._use_residual,
            "names": [self.module_input_name, self.module_output_name],
            "tensors": {name: array_digest(self._tensors[name]) for name in names},
        }

    @staticmethod
    def _check(config: dict[str, Any], tensors: dict[str, NDArray[Any]], source: Path) -> None:
        expected = (config.get("out_features"), config.get("in_features"))
        weight = tensors.get("linear.weight")
        if weight is None or weight.shape != expected:
            found = "none" if weight is None else list(weight.shape)
            raise ModelConfigError(
                f"{source}: expects a matrix 'linear.weight' of {list(expected)}, and model.safetensors "
                f"holds {found}; the two files are not from the same model"
            )
        bias, residual = tensors.get("linear.bias"), tensors.get("residual.weight")
        if (bias is not None) != bool(config.get("bias", True)) or (
            bias is not None and bias.shape != weight.shape[:1]
        ):
            raise ModelConfigError(f"{source}: 'bias' does not fit the tensors {sorted(tensors)}")
        needs_projection = bool(config.get("use_residual")) and expected[0] != expected[1]
        if (residual is not None) != needs_projection or (
            residual is not None and residual.shape != weight.shape
        ):
            raise ModelConfigError(f"{source}: 'use_residual' does not fit the tensors {sorted(tensors)}")
