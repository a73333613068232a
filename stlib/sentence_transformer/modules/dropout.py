"""Dropout on sentence embeddings."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from stlib.base.modules.module import Module


class Dropout(Module):
    """Set entries of ``sentence_embedding`` to zero with probability ``dropout`` while training, else do
    nothing.
    """

    config_keys: ClassVar[list[str]] = ["dropout"]

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        self.dropout = dropout
        self.dropout_layer = nn.Dropout(dropout)

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        features["sentence_embedding"] = self.dropout_layer(features["sentence_embedding"])
        return features

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        self.save_config(output_path)
