"""Token embeddings as a learned mixture of the layers of a transformer."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from stlib.base.modules.module import DimensionNames, ModuleWithWeights
from stlib.errors import UnknownKeyword
from stlib.util.older_names import tell_older_name


class WeightedLayerPooling(DimensionNames, ModuleWithWeights):
    """Replace ``token_embeddings`` by the weighted mean of ``all_layer_embeddings[layer_start:]``.

    The transformer must be loaded with ``config_kwargs={"output_hidden_states": True}``; without its layers
    the features pass unchanged.

    Args:
        embedding_dimension: width of the token embeddings (``word_embedding_dimension`` is its older name).
        num_hidden_layers: layers of the transformer, not counting the embeddings.
        layer_start: first layer of the mixture; 0 is the embeddings.
        layer_weights: ``[num_hidden_layers + 1 - layer_start]`` first weights; ones by default.
    """

    config_keys: ClassVar[list[str]] = ["embedding_dimension", "layer_start", "num_hidden_layers"]
    config_key_renames: ClassVar[dict[str, str]] = {"word_embedding_dimension": "embedding_dimension"}

    def __init__(
        self,
        embedding_dimension: int | None = None,
        num_hidden_layers: int = 12,
        layer_start: int = 4,
        layer_weights: Tensor | None = None,
        **older: Any,
    ) -> None:
        super().__init__()
        self.embedding_dimension = rename_dimension(
            self, embedding_dimension, older, "word_embedding_dimension"
        )
        self.num_hidden_layers = num_hidden_layers
        self.layer_start = layer_start
        weights = torch.ones(num_hidden_layers + 1 - layer_start) if layer_weights is None else layer_weights
        self.layer_weights = nn.Parameter(torch.as_tensor(weights, dtype=torch.float32).detach().clone())

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        layers = features.get("all_layer_embeddings")
        if layers is not None:
            mixed = torch.stack(list(layers[self.layer_start :]))
            weights = self.layer_weights.view(-1, 1, 1, 1)
            features["token_embeddings"] = (weights * mixed).sum(dim=0) / self.layer_weights.sum()
        return features

    def get_embedding_dimension(self) -> int:
        """Width of the token embeddings."""
        return self.embedding_dimension


def rename_dimension(module: nn.Module, value: int | None, older: dict[str, Any], older_name: str) -> int:
    """The first argument of a module, also under the name of earlier generations.

    Raises:
        UnknownKeyword: it is missing, or there are other keywords.
    """
    if older_name in older:
        tell_older_name(type(module).__name__, older_name, older_name.replace("word_", ""))
        given = older.pop(older_name)
        value = given if value is None else value
    if older or value is None:
        what = f"has no keyword {sorted(older)}" if older else "needs the dimension of its input"
        raise UnknownKeyword(
            f"{type(module).__name__} {what}; pass the dimension first, then the documented names"
        )
    return value
