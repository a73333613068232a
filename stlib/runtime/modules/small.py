"""Modules of one line: layer normalisation, and dropout, which does nothing outside training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stlib.errors import ModelConfigError
from stlib.runtime.files import read_tensors
from stlib.runtime.modules.base import SENTENCE_EMBEDDING, Features, array_digest


class LayerNorm:
    """Shift and scale each sentence embedding to mean 0 and variance 1, then by learned factors.

    Ba et al., "Layer Normalization" (arXiv:1607.06450), with torch's epsilon of 1e-5.
    """

    def __init__(self, weight: NDArray[Any], bias: NDArray[Any]) -> None:
        self._weight = weight.astype(np.float32, copy=False)
        self._bias = bias.astype(np.float32, copy=False)
        self.dimension = len(self._weight)

    @classmethod
    def load(cls, folder: Path) -> LayerNorm:
        """Read ``model.safetensors``."""
        tensors = read_tensors(folder)
        if set(tensors) != {"norm.weight", "norm.bias"}:
            raise ModelConfigError(
                f"{folder}: expected the tensors norm.weight and norm.bias, found {sorted(tensors)}"
            )
        return cls(tensors["norm.weight"], tensors["norm.bias"])

    def forward(self, features: Features) -> Features:
        values = features[SENTENCE_EMBEDDING]
        centred = values - values.mean(axis=1, keepdims=True)
        variance = np.square(centred).mean(axis=1, keepdims=True)
        features[SENTENCE_EMBEDDING] = (
            centred / np.sqrt(variance + np.float32(1e-5)) * self._weight + self._bias
        )
        return features

    def signature(self) -> dict[str, Any]:
        return {"kind": "LayerNorm", "tensors": array_digest(self._weight, self._bias)}


class Dropout:
    """Nothing: dropout is for training."""

    dimension = None

    @classmethod
    def load(cls, folder: Path) -> Dropout:
        """There is nothing to read."""
        return cls()

    def forward(self, features: Features) -> Features:
        return features

    def signature(self) -> dict[str, Any]:
        return {"kind": "Dropout"}
