"""Transformers with fewer layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from stlib.errors import InvalidOption

__all__ = ["keep_layers", "layers_of"]


def layers_of(model: Any) -> nn.ModuleList:
    """The layers of the transformer in a model, as the list that it runs through.

    Raises:
        InvalidOption: the model has no transformer, or one that is built otherwise.
    """
    network = getattr(model[0], "auto_model", None)
    count = getattr(getattr(network, "config", None), "num_hidden_layers", None)
    for module in network.modules() if network is not None else ():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return module
    raise InvalidOption(
        f"{type(model[0]).__name__} has no list of layers; give a model with a text transformer"
    )


def keep_layers(model: Any, chosen: Sequence[int]) -> None:
    """Leaves only the chosen layers (0 is the first) in the model, which changes it in place.

    Raises:
        InvalidOption: there is no such layer, or none was chosen.
    """
    layers = layers_of(model)
    wrong = [number for number in chosen if not 0 <= number < len(layers)]
    if wrong or not chosen:
        raise InvalidOption(f"layers {list(chosen)}: choose among 0 to {len(layers) - 1}")
    kept = [layers[number] for number in chosen]
    del layers[:]
    layers.extend(kept)
    model[0].auto_model.config.num_hidden_layers = len(kept)
