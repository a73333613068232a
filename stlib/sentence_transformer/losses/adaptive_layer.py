"""Any loss at several numbers of layers."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Iterable
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from stlib.base.losses.checks import check_model
from stlib.base.losses.gradcache import uses_gradient_cache
from stlib.base.losses.replaced import unwrap
from stlib.base.model import BaseModel
from stlib.base.modules.transformer import Transformer
from stlib.errors import InvalidOption
from stlib.sentence_transformer.losses.layer_passes import LayerPasses
from stlib.sentence_transformer.losses.wrapped import check_wrapped

_WEIGHTS: dict[str, Callable[[int], float]] = {
    "uniform": lambda layer: 1.0,
    "log": lambda layer: 1.0 / (1.0 + math.log(1 + layer)),
    "linear": lambda layer: 1.0 / (1 + layer),
}


class AdaptiveLayerLoss(nn.Module):
    """A loss on the output of the last layer and of layers before it, which makes layers removable.

    The transformer runs once. A divergence draws the embeddings of earlier layers to those of the last.

    Args:
        model: the model to train, the same as that of ``loss``; its first module is a ``Transformer``.
        loss: any loss that embeds with its ``model``, but for those with cached gradients.
        n_layers_per_step: draw so many of the earlier layers in each step; -1 takes all, which trains better
            and takes longer.
        last_layer_weight: weight of the loss on the last layer.
        prior_layers_weight: weight of the average of the losses on earlier layers.
        kl_div_weight: weight of the divergences. 0 or ``kl_temperature=0`` go without.
        kl_temperature: of the softmax over dimensions that is compared; a lower one stresses large values.
        layer_weighting: weight of a layer's loss by its number, 0 for the embedding layer: ``"uniform"``,
            ``"log"`` for 1 / (1 + log(1 + number)), ``"linear"`` for 1 / (1 + number), or a function.

    Raises:
        InvalidOption: ``layer_weighting`` is unknown, or the model does not start with a ``Transformer``.

    References:
        - Li et al., "2D Matryoshka Sentence Embeddings", arXiv:2402.14776

    Inputs:
        Those of ``loss``.

    Relations:
        - ``Matryoshka2dLoss`` makes dimensions removable as well.
        - ``MatryoshkaLoss`` does so for dimensions alone.

    Example::

        inner = losses.MultipleNegativesRankingLoss(model)
        loss = losses.AdaptiveLayerLoss(model, inner)

        # later, with the first three layers alone
        model.transformers_model.encoder.layer = model.transformers_model.encoder.layer[:3]
    """

    def __init__(
        self,
        model: Any,
        loss: nn.Module,
        n_layers_per_step: int = 1,
        last_layer_weight: float = 1.0,
        prior_layers_weight: float = 1.0,
        kl_div_weight: float = 1.0,
        kl_temperature: float = 0.3,
        layer_weighting: Literal["uniform", "log", "linear"] | Callable[[int], float] = "uniform",
    ) -> None:
        super().__init__()
        check_model(self, model)
        check_wrapped(self, loss)
        if not callable(layer_weighting) and layer_weighting not in _WEIGHTS:
            raise InvalidOption(
                f"layer_weighting is {layer_weighting!r}; use one of {', '.join(_WEIGHTS)}, or a function"
            )
        if not isinstance(model[0], Transformer):
            raise InvalidOption(
                f"the model starts with a {type(model[0]).__name__}; only a Transformer has layers to take"
            )
        if uses_gradient_cache(loss):
            # The second pass comes after this loss has left, and would see the last layer only.
            warnings.warn(
                f"AdaptiveLayerLoss does not work with {type(loss).__name__}; use its form without a cache",
                stacklevel=2,
            )
        self.model = model
        self.loss = loss
        self.n_layers_per_step = n_layers_per_step
        self.last_layer_weight = last_layer_weight
        self.prior_layers_weight = prior_layers_weight
        self.kl_div_weight = kl_div_weight
        self.kl_temperature = kl_temperature
        self.layer_weighting = layer_weighting

    def get_layer_weight(self, layer_idx: int) -> float:
        """Weight of the loss on a layer, 0 for the embedding layer."""
        named = self.layer_weighting
        return named(layer_idx) if callable(named) else _WEIGHTS[named](layer_idx)

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        columns = list(sentence_features)
        passes = LayerPasses(self._inner_model())
        with passes.install():
            loss = self.loss(columns, labels) * self.last_layer_weight
            last = passes.take_embeddings().detach()
            layers = self._draw_layers(passes.n_layers - 1)
            for layer in layers:
                passes.layer = layer
                weight = self.get_layer_weight(layer) / len(layers) * self.prior_layers_weight
                loss = loss + self.loss(columns, labels) * weight
                loss = loss + self._divergence(passes.take_embeddings(), last)
        return loss

    def _inner_model(self) -> Any:
        model = unwrap(self.model, BaseModel)
        if model is None:
            raise TypeError(
                f"the model of AdaptiveLayerLoss is a {type(self.model).__name__} around no model of stlib; "
                "it can be in DistributedDataParallel or compiled"
            )
        return model

    def _draw_layers(self, n_layers: int) -> list[int]:
        """Earlier layers of this step."""
        if 0 < self.n_layers_per_step < n_layers:
            return random.sample(range(n_layers), self.n_layers_per_step)
        return list(range(n_layers))

    def _divergence(self, embeddings: Tensor, last: Tensor) -> Tensor | float:
        """Weighted divergence of embeddings from those of the last layer, read as distributions."""
        if self.kl_temperature <= 0:
            return 0.0
        logs = F.log_softmax(embeddings / self.kl_temperature, dim=-1)
        target = F.softmax(last / self.kl_temperature, dim=-1)
        return F.kl_div(logs, target, reduction="batchmean") * self.kl_temperature * self.kl_div_weight

    def get_config_dict(self) -> dict[str, Any]:
        weighting = self.layer_weighting
        return {
            "loss": type(self.loss).__name__,
            "n_layers_per_step": self.n_layers_per_step,
            "last_layer_weight": self.last_layer_weight,
            "prior_layers_weight": self.prior_layers_weight,
            "kl_div_weight": self.kl_div_weight,
            "kl_temperature": self.kl_temperature,
            "layer_weighting": getattr(weighting, "__name__", "custom") if callable(weighting) else weighting,
        }

    @property
    def citation(self) -> str:
        return """
@misc{li20242d,
    title={2D Matryoshka Sentence Embeddings},
    author={Xianming Li and Zongxi Li and Jing Li and Haoran Xie and Qing Li},
    year={2024},
    eprint={2402.14776},
    archivePrefix={arXiv},
    primaryClass={cs.CL}
}
"""
