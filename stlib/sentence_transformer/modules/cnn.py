"""Token embeddings in context by convolutions of several widths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from stlib.base.modules.module import DimensionNames, ModuleWithWeights
from stlib.sentence_transformer.modules.weighted_layer_pooling import rename_dimension


class CNN(DimensionNames, ModuleWithWeights):
    """Convolve ``token_embeddings`` along the text, once per kernel, and concatenate the results.

    Args:
        in_embedding_dimension: width of the input (``in_word_embedding_dimension`` is its older name).
        out_channels: width of the output per kernel.
        kernel_sizes: tokens that each kernel sees; odd sizes keep the number of tokens.
        stride_sizes: step of each kernel; 1 by default.
    """

    reads_padding: ClassVar[bool] = True
    config_file_name: ClassVar[str] = "cnn_config.json"
    config_keys: ClassVar[list[str]] = [
        "in_embedding_dimension",
        "out_channels",
        "kernel_sizes",
        "stride_sizes",
    ]
    config_key_renames: ClassVar[dict[str, str]] = {"in_word_embedding_dimension": "in_embedding_dimension"}

    def __init__(
        self,
        in_embedding_dimension: int | None = None,
        out_channels: int = 256,
        kernel_sizes: Sequence[int] = (1, 3, 5),
        stride_sizes: Sequence[int] | None = None,
        **older: Any,
    ) -> None:
        super().__init__()
        width = rename_dimension(self, in_embedding_dimension, older, "in_word_embedding_dimension")
        self.in_embedding_dimension = width
        self.out_channels = out_channels
        self.kernel_sizes = list(kernel_sizes)
        self.stride_sizes = [1] * len(kernel_sizes) if stride_sizes is None else list(stride_sizes)
        self.convs = nn.ModuleList(
            nn.Conv1d(width, out_channels, kernel_size=size, stride=stride, padding=(size - 1) // 2)
            for size, stride in zip(self.kernel_sizes, self.stride_sizes, strict=True)
        )

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        channels_first = features["token_embeddings"].transpose(1, 2)
        convolved = torch.cat([conv(channels_first) for conv in self.convs], dim=1)
        features["token_embeddings"] = convolved.transpose(1, 2)
        return features

    def get_embedding_dimension(self) -> int:
        """Width of the output."""
        return self.out_channels * len(self.kernel_sizes)
