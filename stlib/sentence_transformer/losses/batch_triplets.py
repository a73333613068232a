"""What the losses over the triplets of a labelled batch share: distances, masks, the hardest of each row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from stlib.base.losses.checks import check_model
from stlib.errors import InvalidInput
from stlib.sentence_transformer.losses.columns import check_columns, labels_per_row
from stlib.util.similarity import cos_sim

# Of embeddings [n, d] the distances of all rows to all rows [n, n].
BatchDistance = Callable[[Tensor], Tensor]


class BatchTripletLoss(nn.Module, ABC):
    """Embeds one column of inputs and forms triplets of the rows by their classes.

    Subclasses implement ``of_distances`` from distances ``[n, n]`` and classes ``[n]``.
    """

    def __init__(self, model: nn.Module, distance_metric: BatchDistance) -> None:
        super().__init__()
        check_model(self, model)
        # The trainer puts its wrapped model in the place of this name.
        self.model: Any = model
        self.distance_metric = distance_metric

    @property
    def sentence_embedder(self) -> Any:
        """The model, under the name that these losses have always had for it."""
        return self.model

    def forward(self, sentence_features: Iterable[dict[str, Any]], labels: Tensor | None = None) -> Tensor:
        """The loss of a batch of one column of inputs with classes ``[n]``; others are not embedded."""
        columns = list(sentence_features)
        check_columns(self, columns, 1, "the labelled inputs")
        return self.compute_loss_from_embeddings([self.model(columns[0])["sentence_embedding"]], labels)

    def compute_loss_from_embeddings(self, embeddings: list[Tensor], labels: Tensor | None = None) -> Tensor:
        """The loss of embeddings ``[n, d]``, the first of the list, with classes ``[n]``."""
        check_columns(self, embeddings, 1, "the labelled inputs")
        return self._of_batch(labels, embeddings[0])

    @abstractmethod
    def of_distances(self, distances: Tensor, labels: Tensor) -> Tensor:
        """The loss of distances ``[n, n]`` between rows of classes ``[n]``."""

    def _of_batch(self, labels: Tensor | None, embeddings: Tensor) -> Tensor:
        rows = len(embeddings)
        labels = labels_per_row(self, labels, rows, "the class of an input, an integer")
        distances = self.distance_metric(embeddings)
        if distances.shape != (rows, rows):
            raise InvalidInput(
                f"the distance_metric of {type(self).__name__} gave a tensor of shape "
                f"{tuple(distances.shape)} for {rows} embeddings; it takes one tensor and returns all "
                "distances within it, as those of BatchHardTripletLossDistanceFunction do"
            )
        return self.of_distances(distances, labels)

    def get_config_dict(self) -> dict[str, Any]:
        return {"distance_metric": getattr(self.distance_metric, "__name__", str(self.distance_metric))}

    @property
    def citation(self) -> str:
        return """
@misc{hermans2017defense,
    title={In Defense of the Triplet Loss for Person Re-Identification},
    author={Alexander Hermans and Lucas Beyer and Bastian Leibe},
    year={2017},
    eprint={1703.07737},
    archivePrefix={arXiv},
    primaryClass={cs.CV}
}
"""


def cosine_distances(embeddings: Tensor) -> Tensor:
    """One minus the cosine of all rows with all rows: ``[n, n]``."""
    return 1 - cos_sim(embeddings, embeddings)


def euclidean_distances(embeddings: Tensor, squared: bool = False) -> Tensor:
    """Distances of all rows to all rows ``[n, n]``, or their squares; in float32 at least.

    By ``|a|² - 2 a·b + |b|²``, whose diagonal is exactly 0. The root has no gradient at 0, so equal rows get
    a gradient of 0.
    """
    with torch.autocast(device_type=embeddings.device.type, enabled=False):
        if embeddings.dtype in (torch.float16, torch.bfloat16):
            embeddings = embeddings.float()
        products = embeddings @ embeddings.T
    squares = products.diagonal()
    distances = (squares - 2.0 * products + squares.unsqueeze(1)).clamp(min=0.0)
    if squared:
        return distances
    equal = distances == 0
    return distances.masked_fill(equal, 1.0).sqrt().masked_fill(equal, 0.0)


def same_class(labels: Tensor) -> Tensor:
    """``[n, n]``, True where two rows have the same class, the diagonal included."""
    return labels.unsqueeze(0) == labels.unsqueeze(1)


def positive_mask(labels: Tensor) -> Tensor:
    """``[n, n]``, True at (a, p) of the same class, a and p being different rows."""
    return same_class(labels) & ~_itself(labels)


def negative_mask(labels: Tensor) -> Tensor:
    """``[n, n]``, True at (a, n) of different classes."""
    return ~same_class(labels)


def triplet_mask(labels: Tensor) -> Tensor:
    """``[n, n, n]``, True at (a, p, n) if p is another row of the class of a, and n of another class."""
    return positive_mask(labels).unsqueeze(2) & negative_mask(labels).unsqueeze(1)


def hardest_margins(distances: Tensor, labels: Tensor) -> Tensor:
    """``[n, 1]``: of each row the distance to its farthest positive minus that to its closest negative.

    A row without positives counts distance 0. A row without negatives counts its largest distance, as rows of
    its class are moved behind all others rather than left out.
    """
    farthest = (distances * positive_mask(labels)).max(dim=1, keepdim=True).values
    behind = distances.max(dim=1, keepdim=True).values
    closest = (distances + behind * same_class(labels)).min(dim=1, keepdim=True).values
    return farthest - closest


def _itself(labels: Tensor) -> Tensor:
    return torch.eye(len(labels), dtype=torch.bool, device=labels.device)
