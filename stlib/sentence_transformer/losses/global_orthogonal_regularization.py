"""Spread the embeddings of unrelated inputs over the space."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from stlib.errors import InvalidOption
from stlib.sentence_transformer.losses.columns import ColumnsLoss, Metric
from stlib.util.misc import similarity_fct_name
from stlib.util.similarity import cos_sim

Aggregation = Literal["mean", "sum"]


class GlobalOrthogonalRegularizationLoss(ColumnsLoss):
    """Similarities between the rows of a column should look like those of points drawn from a sphere.

    Such similarities have mean 0 and second moment ``1 / d``. The two terms are the square of their mean, and
    the excess of their second moment over ``1 / d``; each is aggregated over the columns. The result is a
    dict of the weighted terms, which the trainer adds up and logs one by one.

    Args:
        model: the model to train.
        similarity_fct: similarities of all rows of one tensor ``[n, d]`` with all of another: ``[n, n]``.
        mean_weight: weight of the squared mean; 0 or None leaves it out.
        second_moment_weight: weight of the second moment; 0 or None leaves it out.
        aggregation: ``"mean"`` or ``"sum"`` over the columns.

    References:
        - Zhang et al., "Learning Spread-out Local Feature Descriptors": https://arxiv.org/abs/1708.06320
        - EmbeddingGemma, which sums the second moments only: https://arxiv.org/abs/2509.20354

    Requirements:
        1. Rows of a column that do not belong together, as in a shuffled batch.

    Inputs:
        +------------+---------+
        | Inputs     | Labels  |
        +============+=========+
        | any        | none    |
        +------------+---------+

    Relations:
        - To be added to a loss that brings related inputs together, as :class:`MultipleNegativesRankingLoss`.

    Example:
        ::

            import torch
            from stlib import SentenceTransformer, losses

            class RankingAndSpread(torch.nn.Module):
                def __init__(self, model):
                    super().__init__()
                    self.model = model
                    self.ranking = losses.MultipleNegativesRankingLoss(model)
                    self.spread = losses.GlobalOrthogonalRegularizationLoss(model)

                def forward(self, sentence_features, labels=None):
                    columns = [self.model(features)["sentence_embedding"] for features in sentence_features]
                    ranking = self.ranking.compute_loss_from_embeddings(columns, labels)
                    return {"ranking": ranking, **self.spread.compute_loss_from_embeddings(columns)}

            loss = RankingAndSpread(SentenceTransformer("microsoft/mpnet-base"))

    Raises:
        InvalidOption: both weights are 0, or another aggregation.
    """

    def __init__(
        self,
        model: nn.Module,
        similarity_fct: Metric = cos_sim,
        mean_weight: float | None = 1.0,
        second_moment_weight: float | None = 1.0,
        aggregation: Aggregation = "mean",
    ) -> None:
        super().__init__(model)
        if not mean_weight and not second_moment_weight:
            raise InvalidOption("mean_weight and second_moment_weight leave out both terms; set at least one")
        if aggregation not in get_args(Aggregation):
            raise InvalidOption(f"aggregation is {aggregation!r}; choose 'mean' or 'sum'")
        self.similarity_fct = similarity_fct
        self.mean_weight = mean_weight
        self.second_moment_weight = second_moment_weight
        self.aggregation = aggregation

    def compute_loss_from_embeddings(
        self, embeddings: list[Tensor], labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``gor_mean`` and ``gor_second_moment`` of the columns ``[n, d]``, without those of weight 0."""
        means, second_moments = zip(*map(self.compute_gor, embeddings), strict=True)
        weighted = {
            "gor_mean": (self.mean_weight, means),
            "gor_second_moment": (self.second_moment_weight, second_moments),
        }
        return {name: weight * self._aggregate(terms) for name, (weight, terms) in weighted.items() if weight}

    def compute_gor(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Both terms of one column ``[n, d]``, without weights. A single row has none: both are 0."""
        n, d = embeddings.shape
        similarities = self.similarity_fct(embeddings, embeddings)
        own = torch.eye(n, dtype=torch.bool, device=similarities.device)
        others = similarities.masked_fill(own, 0.0)
        count = max(n * (n - 1), 1)
        mean = others.sum() / count
        second_moment = others.square().sum() / count
        return mean.square(), torch.relu(second_moment - 1.0 / d)

    def _aggregate(self, terms: tuple[Tensor, ...]) -> Tensor:
        stacked = torch.stack(terms)
        return stacked.sum() if self.aggregation == "sum" else stacked.mean()

    def get_config_dict(self) -> dict[str, Any]:
        return {
            "similarity_fct": similarity_fct_name(self.similarity_fct),
            "mean_weight": self.mean_weight,
            "second_moment_weight": self.second_moment_weight,
            "aggregation": self.aggregation,
        }

    @property
    def citation(self) -> str:
        return """
@misc{zhang2017learningspreadoutlocalfeature,
    title={Learning Spread-out Local Feature Descriptors},
    author={Xu Zhang and Felix X. Yu and Sanjiv Kumar and Shih-Fu Chang},
    year={2017},
    eprint={1708.06320},
    archivePrefix={arXiv},
    primaryClass={cs.CV},
    url={https://arxiv.org/abs/1708.06320},
}
"""
