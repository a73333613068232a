"""Layer normalisation of sentence embeddings."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from stlib.base.modules.module import DimensionNames, ModuleWithWeights


class LayerNorm(DimensionNames, ModuleWithWeights):
    """Normalise ``sentence_embedding [n, dimension]`` to mean 0 and variance 1, then scale and shift as
    learned.
    """

    config_keys: ClassVar[list[str]] = ["dimension"]

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension
        self.norm = nn.LayerNorm(dimension)

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        features["sentence_embedding"] = self.norm(features["sentence_embedding"])
        return features

    def get_embedding_dimension(self) -> int:
        """``dimension``."""
        return self.dimension
