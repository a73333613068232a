"""Positives against the other rows of the batch: InfoNCE and its relatives."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from stlib.base.losses.checks import check_model
from stlib.base.losses.in_parts import sum_in_parts
from stlib.base.losses.merged_forward import embed_columns
from stlib.errors import InvalidOption
from stlib.sentence_transformer.losses.in_batch import Batch
from stlib.util.misc import similarity_fct_name
from stlib.util.similarity import cos_sim

logger = logging.getLogger(__name__)

Direction = Literal["query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc"]
PartitionMode = Literal["joint", "per_direction"]
HardnessMode = Literal["in_batch_negatives", "hard_negatives", "all_negatives"]

DIRECTIONS = ("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc")
# Their candidates do not include the positive.
_SAME_SIDE = {"query_to_query", "doc_to_doc"}
_HARDNESS_MODES = ("in_batch_negatives", "hard_negatives", "all_negatives")


class MultipleNegativesRankingLoss(nn.Module):
    r"""Cross entropy of finding the positive of an anchor among all documents of the batch.

    With similarities :math:`s_{ij}` of anchor i and document j, the loss of anchor i is
    :math:`-\log (e^{c s_{ii}} / \sum_j e^{c s_{ij}})`, where c is ``scale``. Documents are the positives and
    hard negatives of all rows.

    Args:
        model: the model to train.
        scale: factor of the similarities, the inverse of a temperature. Cosines lie between -1 and 1, so that
            without a factor the softmax would be almost even; 20 is a temperature of 0.05. Use 1 for dot
            products.
        similarity_fct: ``(a [n, d], b [m, d]) -> [n, m]``, larger for more alike.
        gather_across_devices: use the rows of all processes as negatives. A larger batch is a harder and
            better task; the embeddings have to be exchanged.
        directions: which similarities stand beside that of the pair:

            - ``"query_to_doc"``: of the anchor to all documents; always needed, as it has the positive.
            - ``"query_to_query"``: of the anchor to the other anchors.
            - ``"doc_to_query"``: of the positive to all anchors.
            - ``"doc_to_doc"``: of the positive to all documents of other rows.
        partition_mode: ``"joint"``, one softmax over all directions, or ``"per_direction"``, one softmax for
            each, whose losses are averaged. The latter needs the positive in every direction, so it takes
            ``"query_to_doc"`` and ``"doc_to_query"`` only.
        hardness_mode: add ``hardness_strength`` times the similarity, as a constant, to the scores of
            negatives, so that hard ones weigh more:

            - ``"in_batch_negatives"``: of the documents of other rows.
            - ``"hard_negatives"``: of the hard negatives of the row itself.
            - ``"all_negatives"``: of both.
        hardness_strength: the published choices are 9 for in-batch negatives (LLaVE) and 5 for hard
            negatives (EmbeddingGemma).

    Raises:
        InvalidOption: an option has no meaning.

    References:
        - van den Oord et al., "Representation Learning with Contrastive Predictive Coding", arXiv:1807.03748
        - Henderson et al., "Efficient Natural Language Response Suggestion for Smart Reply", arXiv:1705.00652
        - both directions: Günther et al., "Jina Embeddings 2", arXiv:2310.19923
        - all directions: Li et al., "Towards General Text Embeddings with Multi-stage Contrastive Learning",
          arXiv:2308.03281
        - hardness: Lan et al., "LLaVE", arXiv:2503.04812, equation 5; Schechter Vera et al.,
          "EmbeddingGemma", arXiv:2509.20354

    Inputs:
        ====================================  ======
        Columns                               Labels
        ====================================  ======
        (anchor, positive)                    none
        (anchor, positive, negative)          none
        (anchor, positive, negative_1, …)     none
        ====================================  ======

        Every row of a batch is taken for a negative of the others: batches should not hold a text twice,
        which ``batch_sampler="no_duplicates"`` sees to.

    Relations:
        - ``CachedMultipleNegativesRankingLoss`` has the same value and gradient in little memory.
        - ``GISTEmbedLoss`` leaves out negatives that a guide takes for positives.

    Example::

        train_dataset = Dataset.from_dict({
            "anchor": ["How do I sort a list?", "Who wrote Faust?"],
            "positive": ["sorted() returns a sorted list.", "Goethe wrote Faust."],
        })
        loss = losses.MultipleNegativesRankingLoss(model)
        SentenceTransformerTrainer(model=model, train_dataset=train_dataset, loss=loss).train()

        # in both directions
        loss = losses.MultipleNegativesRankingLoss(
            model, directions=("query_to_doc", "doc_to_query"), partition_mode="per_direction"
        )
    """

    def __init__(
        self,
        model: Any,
        scale: float = 20.0,
        similarity_fct: Callable[[Tensor, Tensor], Tensor] = cos_sim,
        gather_across_devices: bool = False,
        directions: Sequence[Direction] = ("query_to_doc",),
        partition_mode: PartitionMode = "joint",
        hardness_mode: HardnessMode | None = None,
        hardness_strength: float = 0.0,
    ) -> None:
        super().__init__()
        check_model(self, model)
        if not scale > 0:
            raise InvalidOption(f"scale is {scale}; it must be positive")
        _check_directions(directions, partition_mode)
        _check_hardness(hardness_mode, hardness_strength)
        self.model = model
        self.scale = scale
        self.similarity_fct = similarity_fct
        self.gather_across_devices = gather_across_devices
        self.directions: tuple[str, ...] = tuple(directions)
        self.partition_mode = partition_mode
        self.hardness_mode = hardness_mode
        self.hardness_strength = hardness_strength

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        return self.compute_loss_from_embeddings(embed_columns(self.model, sentence_features), labels)

    def compute_loss_from_embeddings(self, embeddings: list[Tensor], labels: Tensor | None = None) -> Tensor:
        """The loss of columns ``[n, d]`` of embeddings: anchors, positives, hard negatives."""
        return self._loss_in_parts(embeddings, step=len(embeddings[0]))

    def _loss_in_parts(self, embeddings: list[Tensor], step: int, **options: Any) -> Tensor:
        """Mean loss of the anchors of this process, ``step`` of them at a time."""
        batch = Batch.of(embeddings, self.gather_across_devices, type(self).__name__)

        def part(columns: list[Tensor], begin: int, end: int) -> Tensor:
            rows = Batch(columns, batch.offset, batch.size)
            return self._losses(rows, begin, end).sum() / batch.size

        return sum_in_parts(batch.columns, part, batch.size, step, **options)

    def _losses(self, batch: Batch, begin: int, end: int) -> Tensor:
        """Loss of each of some anchors: ``[end - begin]``."""
        own = batch.own_mask(begin, end)
        similarities = self._similarities(batch, own, begin, end)
        scores = {name: matrix * self.scale for name, matrix in similarities.items()}
        if self.hardness_mode is not None and self.hardness_strength > 0:
            hardness = self.hardness_strength * similarities["query_to_doc"].detach()
            added = hardness.masked_fill(~self._is_weighted(own, len(batch.columns) - 1), 0.0)
            scores["query_to_doc"] = scores["query_to_doc"] + added
        positive = scores["query_to_doc"].gather(1, batch.own(begin, end).unsqueeze(1)).squeeze(1)
        if self.partition_mode == "joint":
            return torch.logsumexp(torch.cat(list(scores.values()), dim=1), dim=1) - positive
        totals = [torch.logsumexp(matrix, dim=1) for matrix in scores.values()]
        return torch.stack(totals).mean(dim=0) - positive

    def _similarities(self, batch: Batch, own: Tensor, begin: int, end: int) -> dict[str, Tensor]:
        """For each direction, of some rows to all candidates; minus infinity to a row's own."""
        queries, *documents = batch.columns
        rows = slice(batch.offset + begin, batch.offset + end)
        query, document, everything = queries[rows], documents[0][rows], torch.cat(documents)
        matrices = {"query_to_doc": self.similarity_fct(query, everything)}
        if "query_to_query" in self.directions:
            matrices["query_to_query"] = self.similarity_fct(query, queries).masked_fill(own, -torch.inf)
        if "doc_to_query" in self.directions:
            matrices["doc_to_query"] = self.similarity_fct(queries, document).T
        if "doc_to_doc" in self.directions:
            of_document = self.similarity_fct(everything, document).T
            matrices["doc_to_doc"] = of_document.masked_fill(own.repeat(1, len(documents)), -torch.inf)
        return matrices

    def _is_weighted(self, own: Tensor, n_columns: int) -> Tensor:
        """Which documents ``[rows, documents]`` have their similarity added."""
        none = torch.zeros_like(own)
        own_positive = torch.cat([own] + [none] * (n_columns - 1), dim=1)
        own_negative = torch.cat([none] + [own] * (n_columns - 1), dim=1)
        if self.hardness_mode == "hard_negatives":
            return own_negative
        return ~own_positive if self.hardness_mode == "all_negatives" else ~(own_positive | own_negative)

    def get_config_dict(self) -> dict[str, Any]:
        return {
            "scale": self.scale,
            "similarity_fct": similarity_fct_name(self.similarity_fct),
            "gather_across_devices": self.gather_across_devices,
            "directions": self.directions,
            "partition_mode": self.partition_mode,
            "hardness_mode": self.hardness_mode,
            "hardness_strength": self.hardness_strength,
        }

    @property
    def temperature(self) -> float:
        """The inverse of ``scale``."""
        return 1.0 / self.scale

    @property
    def citation(self) -> str:
        if set(self.directions) == set(DIRECTIONS) and self.partition_mode == "joint":
            return _ALL_DIRECTIONS
        if set(self.directions) == {"query_to_doc", "doc_to_query"} and self.partition_mode != "joint":
            return _BOTH_DIRECTIONS
        return _ONE_DIRECTION


def _check_directions(directions: Sequence[str], partition_mode: str) -> None:
    given = (directions,) if isinstance(directions, str) else tuple(directions)
    unknown = [name for name in given if name not in DIRECTIONS]
    if isinstance(directions, str) or unknown or not given:
        raise InvalidOption(f"directions is {directions!r}; pass a tuple of some of: {', '.join(DIRECTIONS)}")
    if "query_to_doc" not in given:
        raise InvalidOption(
            f"directions is {directions!r}; 'query_to_doc' has to be among them, as it has the positive pair"
        )
    if partition_mode not in ("joint", "per_direction"):
        raise InvalidOption(f"partition_mode is {partition_mode!r}; use 'joint' or 'per_direction'")
    if partition_mode == "per_direction" and _SAME_SIDE.intersection(given):
        raise InvalidOption(
            f"partition_mode='per_direction' cannot be had with directions={given!r}: among similarities of "
            "queries to queries or documents to documents is no positive; use partition_mode='joint'"
        )


def _check_hardness(mode: str | None, strength: float) -> None:
    if mode is not None and mode not in _HARDNESS_MODES:
        raise InvalidOption(f"hardness_mode is {mode!r}; use None or one of: {', '.join(_HARDNESS_MODES)}")
    if strength < 0:
        raise InvalidOption(f"hardness_strength is {strength}; it must not be negative")
    if mode is not None and strength == 0:
        logger.warning(
            "hardness_mode=%r has no effect, as hardness_strength is 0; pass a positive strength", mode
        )


_ONE_DIRECTION = """
@misc{oord2019representationlearningcontrastivepredictive,
      title={Representation Learning with Contrastive Predictive Coding},
      author={Aaron van den Oord and Yazhe Li and Oriol Vinyals},
      year={2019},
      eprint={1807.03748},
      archivePrefix={arXiv},
      primaryClass={cs.LG},
      url={https://arxiv.org/abs/1807.03748},
}
"""

_BOTH_DIRECTIONS = """
@misc{günther2024jinaembeddings28192token,
      title={Jina Embeddings 2: 8192-Token General-Purpose Text Embeddings for Long Documents},
      author={Michael Günther and Jackmin Ong and Isabelle Mohr and Alaeddine Abdessalem and Tanguy Abel
        and Mohammad Kalim Akram and Susana Guzman and Georgios Mastrapas and Saba Sturua and Bo Wang
        and Maximilian Werk and Nan Wang and Han Xiao},
      year={2024},
      eprint={2310.19923},
      archivePrefix={arXiv},
      primaryClass={cs.CL},
      url={https://arxiv.org/abs/2310.19923},
}
"""

_ALL_DIRECTIONS = """
@misc{li2023generaltextembeddingsmultistage,
      title={Towards General Text Embeddings with Multi-stage Contrastive Learning},
      author={Zehan Li and Xin Zhang and Yanzhao Zhang and Dingkun Long and Pengjun Xie and Meishan Zhang},
      year={2023},
      eprint={2308.03281},
      archivePrefix={arXiv},
      primaryClass={cs.CL},
      url={https://arxiv.org/abs/2308.03281},
}
"""
