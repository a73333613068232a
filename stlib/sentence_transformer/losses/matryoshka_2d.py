"""Any loss at several numbers of layers and sizes of embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from torch import nn

from stlib.sentence_transformer.losses.adaptive_layer import AdaptiveLayerLoss
from stlib.sentence_transformer.losses.matryoshka import MatryoshkaLoss


class Matryoshka2dLoss(AdaptiveLayerLoss):
    """``AdaptiveLayerLoss`` over ``MatryoshkaLoss`` over a loss: layers and dimensions become removable.

    Args:
        model, loss: see ``AdaptiveLayerLoss``.
        matryoshka_dims, matryoshka_weights, n_dims_per_step: see ``MatryoshkaLoss``. One size and one earlier
            layer are drawn in each step by default, as published.
        n_layers_per_step, last_layer_weight, prior_layers_weight, kl_div_weight, kl_temperature,
            layer_weighting: see ``AdaptiveLayerLoss``.

    Raises:
        InvalidOption: see there.

    References:
        - Li et al., "2D Matryoshka Sentence Embeddings", arXiv:2402.14776

    Inputs:
        Those of ``loss``.

    Relations:
        - ``MatryoshkaLoss`` for dimensions alone, ``AdaptiveLayerLoss`` for layers alone.

    Example::

        inner = losses.MultipleNegativesRankingLoss(model)
        loss = losses.Matryoshka2dLoss(model, inner, matryoshka_dims=[768, 512, 256, 128, 64])
    """

    def __init__(
        self,
        model: Any,
        loss: nn.Module,
        matryoshka_dims: Sequence[int],
        matryoshka_weights: Sequence[float] | None = None,
        n_layers_per_step: int = 1,
        n_dims_per_step: int = 1,
        last_layer_weight: float = 1.0,
        prior_layers_weight: float = 1.0,
        kl_div_weight: float = 1.0,
        kl_temperature: float = 0.3,
        layer_weighting: Literal["uniform", "log", "linear"] | Callable[[int], float] = "uniform",
    ) -> None:
        super().__init__(
            model,
            MatryoshkaLoss(
                model,
                loss,
                matryoshka_dims,
                matryoshka_weights=matryoshka_weights,
                n_dims_per_step=n_dims_per_step,
            ),
            n_layers_per_step=n_layers_per_step,
            last_layer_weight=last_layer_weight,
            prior_layers_weight=prior_layers_weight,
            kl_div_weight=kl_div_weight,
            kl_temperature=kl_temperature,
            layer_weighting=layer_weighting,
        )

    def get_config_dict(self) -> dict[str, Any]:
        inner: Any = self.loss
        return {**super().get_config_dict(), **inner.get_config_dict()}
