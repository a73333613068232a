"""Order the similarities of pairs as their labels are ordered."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from stlib.errors import InvalidInput
from stlib.sentence_transformer.losses.columns import ColumnsLoss, Metric, check_columns, labels_per_row
from stlib.util.misc import similarity_fct_name
from stlib.util.similarity import pairwise_cos_sim


class CoSENTLoss(ColumnsLoss):
    """``log(1 + Σ exp(scale · (s_j - s_i)))`` over all pairs i and j of a batch where i has the higher label.

    ``s`` is the similarity of the two inputs of a pair. Only the order of the labels counts.

    Args:
        model: the model to train.
        scale: the inverse temperature that the similarities are multiplied with.
        similarity_fct: similarity of row i of one tensor ``[n, d]`` with row i of another: ``[n]``.

    References:
        - Huang et al., "CoSENT: Consistent Sentence Embedding via Similarity Ranking", 2024:
          https://doi.org/10.1109/TASLP.2024.3402087

    Requirements:
        1. Pairs with a score. Batches need pairs of different scores: equal ones are not compared.

    Inputs:
        +--------------------------+-------------------------+
        | Inputs                   | Labels                  |
        +==========================+=========================+
        | (input_A, input_B)       | score, a float          |
        +--------------------------+-------------------------+

    Relations:
        - :class:`AnglELoss` is this loss with ``pairwise_angle_sim``.
        - :class:`CosineSimilarityLoss` takes the same data and fits the values of the scores; CoSENT usually
          gives the stronger signal.

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
            loss = losses.CoSENTLoss(model)
            SentenceTransformerTrainer(model=model, train_dataset=data, loss=loss).train()

    Raises:
        InvalidInput: fewer than two columns, not one label per row, or a similarity that is not ``[n]``.
    """

    def __init__(
        self, model: nn.Module, scale: float = 20.0, similarity_fct: Metric = pairwise_cos_sim
    ) -> None:
        super().__init__(model)
        self.similarity_fct = similarity_fct
        self.scale = scale

    def compute_loss_from_embeddings(self, embeddings: list[Tensor], labels: Tensor | None = None) -> Tensor:
        """The loss of two tensors ``[n, d]`` and scores ``[n]``; half precision is widened."""
        check_columns(self, embeddings, 2, "the two inputs of a pair")
        labels = labels_per_row(self, labels, len(embeddings[0]), "the similarity score of a pair")
        similarities = self.similarity_fct(embeddings[0], embeddings[1])
        if similarities.shape != labels.shape:
            raise InvalidInput(
                f"similarity_fct {similarity_fct_name(self.similarity_fct)!r} gave a tensor of shape "
                f"{tuple(similarities.shape)} for {len(labels)} pairs; it has to score row by row, as the "
                "pairwise_* functions of stlib.util do"
            )
        if similarities.dtype in (torch.float16, torch.bfloat16):
            similarities = similarities.float()
        return _log_of_misorders(similarities * self.scale, labels)

    def get_config_dict(self) -> dict[str, Any]:
        return {"scale": self.scale, "similarity_fct": similarity_fct_name(self.similarity_fct)}

    @property
    def citation(self) -> str:
        return """
@article{10531646,
    title={CoSENT: Consistent Sentence Embedding via Similarity Ranking},
    author={Huang, Xiang and Peng, Hao and Zou, Dongcheng and Liu, Zhiwei and Li, Jianxin and Liu, Kay and Wu, Jia and Su, Jianlin and Yu, Philip S.},
    journal={IEEE/ACM Transactions on Audio, Speech, and Language Processing},
    year={2024},
    doi={10.1109/TASLP.2024.3402087}
}
"""  # noqa: E501


def _log_of_misorders(scores: Tensor, labels: Tensor) -> Tensor:
    """``log(1 + Σ exp(s_j - s_i))`` over all i, j with ``label_i > label_j``, in ``O(n log n)``.

    With labels falling, those above the label of j are a prefix, and one running log-sum-exp of ``-s`` serves
    every j.
    """
    falling, order = torch.sort(labels.int() if labels.dtype == torch.bool else labels, descending=True)
    scores = scores[order]
    running = torch.logcumsumexp(-scores, dim=0)
    # How many labels are higher than that of each row; in the rising order, those to the right of it.
    rising = falling.flip(0)
    n_higher = len(rising) - torch.searchsorted(rising, falling, right=True)
    # Rows of the highest label count e^-inf: choosing rows instead would make a device wait.
    above = running[(n_higher - 1).clamp(min=0)].masked_fill(n_higher == 0, -torch.inf)
    return torch.logsumexp(torch.cat((scores.new_zeros(1), scores + above)), dim=0)
