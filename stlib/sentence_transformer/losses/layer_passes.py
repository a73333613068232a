"""A model's embeddings from each of its layers, with one run of the transformer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from stlib.base.losses.merged_forward import column_merging_disabled
from stlib.base.losses.replaced import replace

_LAYERS = "all_layer_embeddings"


class LayerPasses:
    """Forward passes of a model in which its first module, a transformer, stands for one of its layers.

    The first pass over each features dict runs the transformer and leaves the output of all layers in the
    dict; with :attr:`layer` set, later passes over the same dict read that of the layer.
    """

    def __init__(self, model: Any) -> None:
        self.layer: int | None = None
        """Layer to read, 0 for the embedding layer; None runs the transformer."""
        self.n_layers = 0
        """Outputs that there are, that of the embedding layer included; known after the first pass."""
        self._model = model
        self._transformer = model[0]
        self._run_transformer = self._transformer.forward
        self._run_model = model.forward
        self._embeddings: list[Tensor] = []

    @contextmanager
    def install(self) -> Iterator[None]:
        """Take the place of the forward passes of model and transformer inside the block."""
        with ExitStack() as stack:
            # A merged pass would leave the layers in a dict that the next pass does not see.
            stack.enter_context(column_merging_disabled())
            stack.enter_context(replace(self._transformer, "forward", self._transformer_pass))
            stack.enter_context(replace(self._model, "forward", self._model_pass))
            yield

    def take_embeddings(self) -> Tensor:
        """Sentence embeddings of all passes since the last call below each other."""
        taken = torch.cat(self._embeddings)
        self._embeddings.clear()
        return taken

    def _model_pass(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        output = self._run_model(features, **kwargs)
        self._embeddings.append(output["sentence_embedding"])
        return output

    def _transformer_pass(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        if self.layer is not None:
            return {**features, "token_embeddings": features[_LAYERS][self.layer]}
        config: Any = self._transformer.auto_model.config
        before = config.output_hidden_states
        config.output_hidden_states = True
        try:
            output = self._run_transformer(features, **kwargs)
        finally:
            config.output_hidden_states = before
        self.n_layers = len(output[_LAYERS])
        return output
