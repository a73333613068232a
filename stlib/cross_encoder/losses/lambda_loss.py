"""Pairs of documents in the wrong order, weighed by what they cost the ranking."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from stlib.cross_encoder.losses.lists import Lists, ListsLoss
from stlib.errors import InvalidInput, InvalidOption
from stlib.util.misc import fullname

# Beyond this difference of scores a pair changes nothing any more; differences to padding are larger.
_LARGEST_DIFFERENCE = 1e8
# Gains are float32, whose largest number is a little less than 2 ** 128; several of them are added.
_LARGEST_RELEVANCE = 120


class BaseWeightingScheme(nn.Module):
    """Weights of the pairs of documents of a list; subclasses implement :meth:`forward`."""

    def forward(self, gain: Tensor, discount: Tensor, true_sorted: Tensor) -> Tensor:
        """Weights that broadcast to ``[n, m, m]``, of document i against document j.

        Args:
            gain: ``[n, m]``, ``(2 ** label - 1) / maximal DCG``, in the order of the model's scores.
            discount: ``[1, m]``, ``log2(1 + place)`` with places counted from 1.
            true_sorted: ``[n, m]``, labels in the order of the model's scores, no less than 0.
        """
        raise NotImplementedError


class NoWeightingScheme(BaseWeightingScheme):
    """All pairs weigh 1, as in RankNet."""

    def forward(self, gain: Tensor, discount: Tensor, true_sorted: Tensor) -> Tensor:
        return torch.ones((), device=gain.device)


class NDCGLoss1Scheme(BaseWeightingScheme):
    """``gain_i / discount_i``, over all pairs whatever their labels. The paper found the other schemes
    better.
    """

    def forward(self, gain: Tensor, discount: Tensor, true_sorted: Tensor) -> Tensor:
        return (gain / discount).unsqueeze(2)


class NDCGLoss2Scheme(BaseWeightingScheme):
    """``|1 / D(|i - j|) - 1 / D(|i - j| + 1)| * |gain_i - gain_j|`` with discounts D: a tighter bound of NDCG
    than that of :class:`NDCGLoss1Scheme`.
    """

    def forward(self, gain: Tensor, discount: Tensor, true_sorted: Tensor) -> Tensor:
        inverse = 1.0 / discount[0]
        # A document against itself weighs nothing.
        by_distance = torch.cat([inverse.new_zeros(1), (inverse[:-1] - inverse[1:]).abs()])
        places = torch.arange(len(inverse), device=gain.device)
        return by_distance[(places.unsqueeze(1) - places).abs()] * _differences(gain).abs()


class LambdaRankScheme(BaseWeightingScheme):
    """``|1 / D_i - 1 / D_j| * |gain_i - gain_j|`` with discounts D: how much NDCG changes when the documents
    change places.
    """

    def forward(self, gain: Tensor, discount: Tensor, true_sorted: Tensor) -> Tensor:
        return _differences(1.0 / discount).abs() * _differences(gain).abs()


class NDCGLoss2PPScheme(BaseWeightingScheme):
    """``mu`` times :class:`NDCGLoss2Scheme` plus :class:`LambdaRankScheme`, the best in the paper."""

    def __init__(self, mu: float = 10.0) -> None:
        super().__init__()
        self.mu = mu
        self.ndcg_loss2 = NDCGLoss2Scheme()
        self.lambda_rank = LambdaRankScheme()

    def forward(self, gain: Tensor, discount: Tensor, true_sorted: Tensor) -> Tensor:
        bound = self.ndcg_loss2(gain, discount, true_sorted)
        return self.mu * bound + self.lambda_rank(gain, discount, true_sorted)


class LambdaLoss(ListsLoss):
    r"""Loss of each pair of documents whose labels differ, weighed by what the pair means for NDCG.

    With scores s, the loss is the mean over all pairs (i, j) of a query with label i above label j of
    :math:`-w_{ij} \log \sigma(c (s_i - s_j))`, where c is ``sigma`` and w come from the weighting scheme.
    They depend on the order of the scores, but no gradient passes through them.

    Args:
        weighting_scheme: :class:`NoWeightingScheme`, :class:`NDCGLoss1Scheme`, :class:`NDCGLoss2Scheme`,
            :class:`LambdaRankScheme`, :class:`NDCGLoss2PPScheme`, or another
            :class:`BaseWeightingScheme`; None for no weights.
        k: use pairs with at least one document among the k that the model ranks first; None (or 0) for all.
        sigma: factor of the differences of scores.
        eps: least maximal DCG that is divided by, for lists without a relevant document.
        reduction_log: ``"binary"`` or ``"natural"`` logarithm.
        model, activation_fn, mini_batch_size: see
            :class:`~stlib.cross_encoder.losses.lists.ListsLoss`.

    Raises:
        InvalidOption: an option has no meaning, the model is no ``CrossEncoder``, or has several labels.
        InvalidInput: when called with other columns, or without a label for each document.

    References:
        - Wang et al., "The LambdaLoss Framework for Ranking Metric Optimization", CIKM 2018
        - Pobrotyn et al., "Context-Aware Learning to Rank with Self-Attention", arXiv:2005.10084

    Inputs:
        ======================================  ================================  ====================
        Columns                                 Labels                            Labels of the model
        ======================================  ================================  ====================
        (query, [document_1, …, document_n])    [relevance_1, …, relevance_n]     1
        ======================================  ================================  ====================

        n may differ from row to row. ``mine_hard_negatives(…, output_format="labeled-list")`` makes such
        rows.

    Relations:
        - :class:`RankNetLoss` is this loss without weights.
        - :class:`ListNetLoss`, :class:`PListMLELoss` and :class:`ADRMSELoss` take the same inputs.

    Example::

        train_dataset = Dataset.from_dict({
            "query": ["How do I sort a list?", "Who wrote Faust?"],
            "docs": [
                ["sorted() returns a sorted list.", "Tigers are cats."],
                ["Goethe wrote Faust.", "Faust is a tragedy by Goethe.", "Marlowe wrote plays."],
            ],
            "labels": [[1, 0], [2, 1, 0]],
        })
        loss = losses.LambdaLoss(model)
        CrossEncoderTrainer(model=model, train_dataset=train_dataset, loss=loss).train()
    """

    def __init__(
        self,
        model: Any,
        weighting_scheme: BaseWeightingScheme | None = NDCGLoss2PPScheme(),  # noqa: B008 - without state
        k: int | None = None,
        sigma: float = 1.0,
        eps: float = 1e-10,
        reduction_log: Literal["natural", "binary"] = "binary",
        activation_fn: nn.Module | None = nn.Identity(),  # noqa: B008 - without state
        mini_batch_size: int | None = None,
    ) -> None:
        _check_options(k, sigma, reduction_log)
        super().__init__(model, activation_fn, mini_batch_size)
        self.weighting_scheme = NoWeightingScheme() if weighting_scheme is None else weighting_scheme
        self.k = k
        self.sigma = sigma
        self.eps = eps
        self.reduction_log = reduction_log

    def loss_of_lists(self, lists: Lists) -> Tensor:
        # From here on documents are in the order of their scores, padding last.
        scores, order = lists.scores.sort(dim=1, descending=True, stable=True)
        labels = lists.labels.gather(1, order)
        differences = _differences(scores).clamp(-_LARGEST_DIFFERENCE, _LARGEST_DIFFERENCE)
        likelihoods = nn.functional.logsigmoid(self.sigma * differences)
        if self.reduction_log == "binary":
            likelihoods = likelihoods / math.log(2)
        pairs = self._pairs(labels)
        weighted = (self._weights(labels) * likelihoods).masked_fill(~pairs, 0.0)
        return -weighted.sum() / pairs.sum().clamp(min=1)

    def _pairs(self, labels: Tensor) -> Tensor:
        """Which pairs ``[n, m, m]`` count."""
        differences = _differences(labels)
        counts = differences.isfinite()  # both are documents
        if not isinstance(self.weighting_scheme, NDCGLoss1Scheme):
            counts = counts & (differences > 0)
        first = torch.arange(labels.shape[1], device=labels.device) < (self.k or labels.shape[1])
        return counts & (first.unsqueeze(1) | first)

    def check_range_of_labels(self, least: float, most: float, where: str) -> None:
        """Refuse relevance whose gain is no number: all weights of the model would become NaN.

        Args:
            least: the least relevance.
            most: the greatest.
            where: what the error calls their place.

        Raises:
            InvalidInput: it is too great for the weighting scheme.
        """
        if most > _LARGEST_RELEVANCE and not isinstance(self.weighting_scheme, NoWeightingScheme):
            raise InvalidInput(
                f"{where} has labels up to {most:g}; LambdaLoss takes 2 ** label for the gain of a document, "
                f"which is no float32 beyond {_LARGEST_RELEVANCE}. Grades are usually 0 to 4: scale them, "
                "or pass weighting_scheme=None"
            )

    def _weights(self, labels: Tensor) -> Tensor:
        self.check_range_of_labels(0.0, labels.max().item(), "a batch")
        relevance = labels.clamp(min=0.0)
        discount = torch.log2(torch.arange(2.0, labels.shape[1] + 2, device=labels.device)).unsqueeze(0)
        best = relevance.sort(dim=1, descending=True).values
        best_dcg = ((torch.exp2(best) - 1) / discount)[:, : self.k or None].sum(dim=1, keepdim=True)
        gain = (torch.exp2(relevance) - 1) / best_dcg.clamp(min=self.eps)
        return self.weighting_scheme(gain, discount, relevance)

    def get_config_dict(self) -> dict[str, Any]:
        return {
            "weighting_scheme": fullname(self.weighting_scheme),
            "k": self.k,
            "sigma": self.sigma,
            "eps": self.eps,
            "reduction_log": self.reduction_log,
            **super().get_config_dict(),
        }

    @property
    def citation(self) -> str:
        return """
@inproceedings{wang2018lambdaloss,
  title={The LambdaLoss Framework for Ranking Metric Optimization},
  author={Wang, Xuanhui and Li, Cheng and Golbandi, Nadav and Bendersky, Michael and Najork, Marc},
  booktitle={Proceedings of the 27th ACM international conference on information and knowledge management},
  pages={1313--1322},
  year={2018}
}
"""


def _differences(values: Tensor) -> Tensor:
    """Value i less value j of each row: ``[n, m, m]``."""
    return values.unsqueeze(2) - values.unsqueeze(1)


def _check_options(k: int | None, sigma: float, reduction_log: str) -> None:
    if k is not None and k < 0:
        raise InvalidOption(f"k is {k}; use a number of documents, or None for all")
    if not sigma > 0:
        raise InvalidOption(f"sigma is {sigma}; it must be positive")
    if reduction_log not in ("natural", "binary"):
        raise InvalidOption(f"reduction_log is {reduction_log!r}; use 'natural' or 'binary'")
