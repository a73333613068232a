"""Token embeddings in context by a long short-term memory."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from stlib.base.modules.module import DimensionNames, ModuleWithWeights
from stlib.sentence_transformer.modules.weighted_layer_pooling import rename_dimension


class LSTM(DimensionNames, ModuleWithWeights):
    """Run an LSTM over ``token_embeddings``, each input up to its ``sentence_lengths``.

    Args:
        embedding_dimension: width of the input (``word_embedding_dimension`` is its older name).
        hidden_dim: width of the state; the output is twice as wide if ``bidirectional``.
        num_layers: layers on top of each other.
        dropout: between layers, while training.
        bidirectional: also read from the end.
    """

    config_file_name: ClassVar[str] = "lstm_config.json"
    config_keys: ClassVar[list[str]] = [
        "embedding_dimension",
        "hidden_dim",
        "num_layers",
        "dropout",
        "bidirectional",
    ]
    config_key_renames: ClassVar[dict[str, str]] = {"word_embedding_dimension": "embedding_dimension"}

    def __init__(
        self,
        embedding_dimension: int | None = None,
        hidden_dim: int = 256,
        num_layers: int = 1,
        dropout: float = 0,
        bidirectional: bool = True,
        **older: Any,
    ) -> None:
        super().__init__()
        self.embedding_dimension = rename_dimension(
            self, embedding_dimension, older, "word_embedding_dimension"
        )
        self.hidden_dim = hidden_dim
        self.num_layers = num_layers
        self.dropout = dropout
        self.bidirectional = bidirectional
        self.encoder = nn.LSTM(
            self.embedding_dimension,
            hidden_dim,
            num_layers=num_layers,
            dropout=dropout,
            bidirectional=bidirectional,
            batch_first=True,
        )

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        # Packing needs at least one step: an input without tokens runs over one padding token.
        lengths = features["sentence_lengths"].clamp(min=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(
            features["token_embeddings"], lengths, batch_first=True, enforce_sorted=False
        )
        output, _ = self.encoder(packed)
        features["token_embeddings"], _ = nn.utils.rnn.pad_packed_sequence(output, batch_first=True)
        return features

    def get_embedding_dimension(self) -> int:
        """Width of the output."""
        return self.hidden_dim * (2 if self.bidirectional else 1)
