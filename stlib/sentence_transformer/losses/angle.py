"""CoSENT over angles in complex space."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stlib.sentence_transformer.losses.columns import labels_per_row
from stlib.sentence_transformer.losses.cosent import CoSENTLoss
from stlib.util.similarity import pairwise_angle_sim


class AnglELoss(CoSENTLoss):
    """:class:`CoSENTLoss` with ``pairwise_angle_sim``: the cosine goes flat at its ends, the angle does not.

    The sign follows the authors' published code, not equation 3 of the paper, which subtracts the other way.
    It is often added to a loss with in-batch negatives.

    Args:
        model: the model to train.
        scale: the inverse temperature that the similarities are multiplied with.

    References:
        - Li and Li, "AoE: Angle-optimized Embeddings for Semantic Textual Similarity", ACL 2024:
          https://arxiv.org/abs/2309.12871

    Requirements:
        1. Pairs with a score; or triplets and longer tuples, whose positives are taken as pairs of score 1
           and whose negatives as pairs of score 0.

    Inputs:
        +---------------------------------------------------+------------------+
        | Inputs                                            | Labels           |
        +===================================================+==================+
        | (input_A, input_B)                                | score, a float   |
        +---------------------------------------------------+------------------+
        | (anchor, positive, negative)                      | none             |
        +---------------------------------------------------+------------------+
        | (anchor, positive, negative_1, ..., negative_n)   | none             |
        +---------------------------------------------------+------------------+

    Relations:
        - :class:`CoSENTLoss` is the same over cosines.
        - :class:`CosineSimilarityLoss` fits the values of the scores instead of their order.

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
            loss = losses.AnglELoss(model)
            SentenceTransformerTrainer(model=model, train_dataset=data, loss=loss).train()

    Raises:
        InvalidInput: fewer than two columns, pairs without labels, or not one label per row.
    """

    def __init__(self, model: nn.Module, scale: float = 20.0) -> None:
        super().__init__(model, scale, similarity_fct=pairwise_angle_sim)

    def compute_loss_from_embeddings(self, embeddings: list[Tensor], labels: Tensor | None = None) -> Tensor:
        """The loss of pairs with scores ``[n]``, or of tuples of three and more, whose scores default to 1.

        A score ``y`` given with tuples is that of the positive, and ``1 - y`` that of the negatives.
        """
        if len(embeddings) <= 2:
            return super().compute_loss_from_embeddings(embeddings, labels)
        anchor, *others = embeddings
        if labels is None:
            labels = torch.ones(len(anchor), device=anchor.device)
        labels = labels_per_row(self, labels, len(anchor), "the score of the positive")
        pairs = [anchor.repeat(len(others), 1), torch.cat(others)]
        labels = labels.int() if labels.dtype == torch.bool else labels
        scores = torch.cat([labels, *[1 - labels] * (len(others) - 1)])
        return super().compute_loss_from_embeddings(pairs, scores)

    @property
    def citation(self) -> str:
        return """
@inproceedings{li-li-2024-aoe,
    title = "{A}o{E}: Angle-optimized Embeddings for Semantic Textual Similarity",
    author = "Li, Xianming and Li, Jing",
    year = "2024",
    publisher = "Association for Computational Linguistics",
    url = "https://aclanthology.org/2024.acl-long.101/",
    doi = "10.18653/v1/2024.acl-long.101"
}
"""
