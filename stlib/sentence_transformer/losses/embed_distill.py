"""Reproduce a teacher's embeddings."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stlib.base.losses.checks import check_model
from stlib.base.losses.merged_forward import embed_columns
from stlib.errors import InvalidInput, InvalidOption, WeightsMismatch
from stlib.sentence_transformer.losses.columns import require_labels

DistanceMetric = Literal["mse", "l2", "cosine"]


class EmbedDistillLoss(nn.Module):
    """The distance of the student's embeddings to a teacher's in the dataset; mean over the columns.

    Args:
        model: the student.
        distance_metric: ``"cosine"`` (one minus the cosine), ``"l2"`` (Euclidean distance, that of the paper)
            or ``"mse"`` (mean of the squared differences).
        projection_dim: the teacher's dimension, if it is not the student's: a linear layer on the loss leads
            the student's embeddings there. It trains with the model and is not saved with it;
            ``save_projection`` and ``load_projection`` carry it into a next run.

    References:
        - Kim et al., "EmbedDistill: A Geometric Knowledge Distillation for Information Retrieval", equations
          7 and 8: https://arxiv.org/abs/2301.12005

    Requirements:
        1. Embeddings of the teacher in a column ``label``, made beforehand with its own prompts and settings.

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
        - :class:`MSELoss` is this loss with ``"mse"``.
        - :class:`MarginMSELoss` and :class:`DistillKLDivLoss` learn a teacher's scores instead.

    Example:
        ::

            from datasets import Dataset
            from stlib import SentenceTransformer, SentenceTransformerTrainer, losses

            student = SentenceTransformer("microsoft/mpnet-base")
            teacher = SentenceTransformer("BAAI/bge-large-en-v1.5")
            texts = ["A dog runs.", "Rain falls."]
            data = Dataset.from_dict({"text": texts, "label": teacher.encode(texts).tolist()})
            loss = losses.EmbedDistillLoss(student, projection_dim=1024)
            SentenceTransformerTrainer(model=student, train_dataset=data, loss=loss).train()
            loss.save_projection("projection.safetensors")

    Raises:
        InvalidOption: an unknown ``distance_metric``.
        InvalidInput: no labels, or labels of another shape than those above.
    """

    def __init__(
        self,
        model: nn.Module,
        distance_metric: DistanceMetric = "cosine",
        projection_dim: int | None = None,
    ) -> None:
        super().__init__()
        check_model(self, model)
        if distance_metric not in get_args(DistanceMetric):
            allowed = ", ".join(map(repr, get_args(DistanceMetric)))
            raise InvalidOption(f"distance_metric is {distance_metric!r}; choose one of {allowed}")
        self.model: Any = model
        self.distance_metric = distance_metric
        self.projection_dim = projection_dim
        self.projection: nn.Linear | None = None
        if projection_dim is not None:
            self.projection = self._new_projection(self._student_dimension(), projection_dim)

    def forward(self, sentence_features: Iterable[dict[str, Any]], labels: Tensor | None = None) -> Tensor:
        """The loss of a batch; labels are ``[n, d]`` for all columns or ``[n, columns, d]``."""
        what = "embeddings that the teacher made beforehand"
        labels = require_labels(self, labels, what).detach()
        embeddings = embed_columns(self.model, sentence_features)
        return self.compute_loss_from_embeddings(embeddings, self._per_column(labels, len(embeddings)))

    def compute_loss_from_embeddings(
        self, embeddings: list[Tensor], teacher_embeddings: list[Tensor] | Tensor
    ) -> Tensor:
        """The loss of the student's tensors ``[n, d_student]`` and the teacher's ``[n, d]``, per column;
        or of the teacher's as labels, as a loss around this one hands them on.
        """
        if isinstance(teacher_embeddings, Tensor):
            teacher_embeddings = self._per_column(teacher_embeddings.detach(), len(embeddings))
        losses = [self._distance(*pair) for pair in zip(embeddings, teacher_embeddings, strict=True)]
        return torch.stack(losses).mean()

    def _per_column(self, labels: Tensor, columns: int) -> list[Tensor]:
        if labels.dim() == 2:
            return [labels] * columns
        if labels.dim() == 3 and labels.shape[1] == columns:
            return list(labels.unbind(1))
        raise InvalidInput(
            f"{type(self).__name__} got labels of shape {tuple(labels.shape)} for {columns} column(s) of "
            f"inputs; it takes (rows, {columns}, teacher dimension), or (rows, teacher dimension) as the aim "
            "of all columns"
        )

    def _distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        teacher = teacher.to(device=student.device, dtype=student.dtype)
        if self.projection is not None:
            student = self.projection(student)
        if student.shape != teacher.shape:
            raise InvalidInput(
                f"{type(self).__name__} got embeddings of shape {tuple(student.shape)} from the student and "
                f"{tuple(teacher.shape)} from the teacher; if the dimensions differ, set "
                f"projection_dim={teacher.shape[-1]}"
            )
        if self.distance_metric == "mse":
            return F.mse_loss(student, teacher)
        if self.distance_metric == "l2":
            return torch.linalg.vector_norm(student - teacher, dim=-1).mean()
        return (1 - F.cosine_similarity(student, teacher, dim=-1)).mean()

    def save_projection(self, path: str | os.PathLike[str]) -> None:
        """Write the projection to a safetensors file.

        Raises:
            InvalidOption: the loss has none.
        """
        if self.projection is None:
            raise InvalidOption(
                f"{type(self).__name__} has no projection to save; set projection_dim to make one"
            )
        from safetensors.torch import save_file

        weights = {name: value.detach().contiguous() for name, value in self.projection.state_dict().items()}
        save_file(weights, str(path))

    def load_projection(self, path: str | os.PathLike[str]) -> None:
        """Take the projection of a safetensors file; a loss that has none gets one of that size.

        Raises:
            WeightsMismatch: the file holds no projection, or one for other dimensions.
        """
        from safetensors.torch import load_file

        weights = load_file(str(path))
        if set(weights) != {"weight", "bias"}:
            raise WeightsMismatch(f"{path} holds {sorted(weights)}; a projection is 'weight' and 'bias'")
        to_dim, from_dim = weights["weight"].shape
        current = (
            (self.projection.in_features, self.projection.out_features)
            if self.projection is not None
            else (self._student_dimension(), to_dim)
        )
        if (from_dim, to_dim) != current:
            raise WeightsMismatch(
                f"the projection in {path} leads from {from_dim} to {to_dim} dimensions, and this loss needs "
                f"one from {current[0]} to {current[1]}"
            )
        if self.projection is None:
            self.projection = self._new_projection(from_dim, to_dim)
            self.projection_dim = to_dim
        self.projection.load_state_dict(weights)

    def _student_dimension(self) -> int:
        return self.model.get_embedding_dimension()

    def _new_projection(self, from_dim: int, to_dim: int) -> nn.Linear:
        return nn.Linear(from_dim, to_dim, device=self.model.device)

    def get_config_dict(self) -> dict[str, Any]:
        return {"distance_metric": self.distance_metric, "projection_dim": self.projection_dim}

    @property
    def citation(self) -> str:
        return """
@article{kim2023embeddistill,
    title={EmbedDistill: A Geometric Knowledge Distillation for Information Retrieval},
    author={Kim, Seungyeon and Rawat, Ankit Singh and Zaheer, Manzil and Jayasumana, Sadeep and Sadhanala, Veeranjaneyulu and Jitkrittum, Wittawat and Menon, Aditya Krishna and Fergus, Rob and Kumar, Sanjiv},
    year={2023},
    eprint={2301.12005},
    archivePrefix={arXiv},
    primaryClass={cs.IR}
}
"""  # noqa: E501
