"""Mean squared error against a teacher's embeddings."""

from __future__ import annotations

from typing import Any

from torch import nn

from stlib.sentence_transformer.losses.embed_distill import EmbedDistillLoss


class MSELoss(EmbedDistillLoss):
    """The mean squared difference of the student's embeddings and a teacher's, which the dataset holds.

    The way to extend a model to more languages: a text and its translation both aim at the teacher's
    embedding of the text.

    Args:
        model: the student.
        projection_dim: the teacher's dimension, if it is not the student's; see :class:`EmbedDistillLoss`.

    References:
        - Reimers and Gurevych, "Making Monolingual Sentence Embeddings Multilingual using Knowledge
          Distillation": https://arxiv.org/abs/2004.09813

    Requirements:
        1. Embeddings of the teacher in a column ``label``.

    Inputs:
        +---------------------------+-------------------------------------------------------------------+
        | Inputs                    | Labels                                                            |
        +===========================+===================================================================+
        | input                     | embedding ``[d]``                                                 |
        +---------------------------+-------------------------------------------------------------------+
        | input_1, ..., input_N     | one embedding per input ``[N, d]``                                |
        +---------------------------+-------------------------------------------------------------------+
        | input_1, ..., input_N     | embedding ``[d]``, the aim of every input, e.g. of translations   |
        +---------------------------+-------------------------------------------------------------------+

    Relations:
        - :class:`EmbedDistillLoss` offers other distances.
        - :class:`MarginMSELoss` fits margins of scores instead of embeddings.

    Example:
        ::

            from datasets import Dataset
            from stlib import SentenceTransformer, SentenceTransformerTrainer, losses

            student = SentenceTransformer("xlm-roberta-base")
            teacher = SentenceTransformer("sentence-transformers/paraphrase-mpnet-base-v2")
            english = ["A dog runs.", "Rain falls."]
            data = Dataset.from_dict({
                "english": english,
                "german": ["Ein Hund rennt.", "Regen fällt."],
                "label": teacher.encode(english).tolist(),
            })
            loss = losses.MSELoss(student)
            SentenceTransformerTrainer(model=student, train_dataset=data, loss=loss).train()

    Raises:
        InvalidInput: no labels, or labels of another shape than those above.
    """

    def __init__(self, model: nn.Module, projection_dim: int | None = None) -> None:
        super().__init__(model, distance_metric="mse", projection_dim=projection_dim)

    def get_config_dict(self) -> dict[str, Any]:
        return {"projection_dim": self.projection_dim}

    @property
    def citation(self) -> str:
        return """
@inproceedings{reimers-2020-multilingual-sentence-bert,
    title = "Making Monolingual Sentence Embeddings Multilingual using Knowledge Distillation",
    author = "Reimers, Nils and Gurevych, Iryna",
    booktitle = "Proceedings of the 2020 Conference on Empirical Methods in Natural Language Processing",
    month = "11",
    year = "2020",
    publisher = "Association for Computational Linguistics",
    url = "https://arxiv.org/abs/2004.09813",
}
"""
