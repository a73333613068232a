"""Regression of the cosine of a pair on its score."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor, nn

from stlib.sentence_transformer.losses.columns import ColumnsLoss, check_columns, labels_per_row
from stlib.util.misc import fullname

logger = logging.getLogger(__name__)

# By how much a cosine that somebody computed may pass 1.
_ROUNDING = 1e-3


class CosineSimilarityLoss(ColumnsLoss):
    """``loss_fct(cos_score_transformation(cos(u, v)), score)`` for pairs of inputs with a score.

    Args:
        model: the model to train.
        loss_fct: compares cosines ``[n]`` with scores ``[n]``. Default: the mean squared error.
        cos_score_transformation: applied to the cosines first, e.g. a sigmoid. Default: none.

    References:
        - Reimers and Gurevych, "Sentence-BERT", section 3: https://arxiv.org/abs/1908.10084

    Requirements:
        1. Pairs with a score in the range of the transformed cosine: [0, 1] or [-1, 1].

    Inputs:
        +--------------------------+-------------------------+
        | Inputs                   | Labels                  |
        +==========================+=========================+
        | (input_A, input_B)       | score, a float          |
        +--------------------------+-------------------------+

    Relations:
        - :class:`CoSENTLoss` and :class:`AnglELoss` take the same data and learn from the order of the scores
          instead of their values; they often end higher on rank correlations.

    Example:
        ::

            from datasets import Dataset
            from stlib import SentenceTransformer, SentenceTransformerTrainer, losses

            model = SentenceTransformer("microsoft/mpnet-base")
            data = Dataset.from_dict({
                "sentence1": ["A dog runs.", "Rain falls."],
                "sentence2": ["An animal is moving.", "He reads a book."],
                "score": [0.8, 0.05],
            })
            loss = losses.CosineSimilarityLoss(model)
            SentenceTransformerTrainer(model=model, train_dataset=data, loss=loss).train()

    Raises:
        InvalidInput: fewer than two columns, or not one label per row.
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fct: nn.Module = nn.MSELoss(),  # noqa: B008 - without state
        cos_score_transformation: nn.Module = nn.Identity(),  # noqa: B008 - without state
    ) -> None:
        super().__init__(model)
        self.loss_fct = loss_fct
        self.cos_score_transformation = cos_score_transformation
        self._checked_range = self._told_range = False

    def compute_loss_from_embeddings(self, embeddings: list[Tensor], labels: Tensor | None = None) -> Tensor:
        """The loss of two tensors ``[n, d]`` and scores ``[n]`` (also ``[n, 1]``, and integers)."""
        check_columns(self, embeddings, 2, "the two inputs of a pair")
        scores = labels_per_row(self, labels, len(embeddings[0]), "the similarity score of a pair")
        if not self._checked_range:
            least, most = scores.float().aminmax()
            self.check_range_of_labels(least.item(), most.item(), "a batch")
        cosines = torch.cosine_similarity(embeddings[0], embeddings[1])
        return self.loss_fct(self.cos_score_transformation(cosines), scores.float())

    def check_range_of_labels(self, least: float, most: float, where: str) -> None:
        """Warn, once, of scores that no cosine reaches. The trainer asks this of a whole table; otherwise it
        is asked of the first batch only, as reading labels makes a device wait.

        Args:
            least: the least of the scores.
            most: the greatest of them.
            where: what the warning calls their place.
        """
        self._checked_range = True
        farthest = max(-least, most)
        transformed = not isinstance(self.cos_score_transformation, nn.Identity)
        if self._told_range or transformed or farthest <= 1 + _ROUNDING:
            return
        self._told_range = True
        logger.warning(
            "%s has labels from %g to %g; CosineSimilarityLoss compares them with cosines, which lie between "
            "-1 and 1. Scale them (divide by %g), or use CoSENTLoss, which looks at their order only",
            where,
            least,
            most,
            farthest,
        )

    def get_config_dict(self) -> dict[str, Any]:
        return {
            "loss_fct": fullname(self.loss_fct),
            "cos_score_transformation": fullname(self.cos_score_transformation),
        }
