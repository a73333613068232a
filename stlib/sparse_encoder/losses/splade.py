"""A ranking loss together with penalties that keep embeddings sparse."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor, nn

from stlib.base.losses.checks import check_model
from stlib.base.losses.merged_forward import embed_columns
from stlib.errors import InvalidInput, InvalidOption
from stlib.sparse_encoder.losses.flops import FlopsLoss
from stlib.sparse_encoder.losses.inner import check_inner, join_rows, named_parts
from stlib.util.names import describe_value

logger = logging.getLogger(__name__)


class SpladeLoss(nn.Module):
    """A loss over embeddings, plus a weighted penalty on documents and one on queries.

    The first column is the query's, all others are documents'. The value is a dict: ``base_loss`` (or the
    parts of the inner loss, if it has parts), ``document_regularizer_loss`` and ``query_regularizer_loss``,
    each with its weight in it. A trainer adds them up and logs each.

    Args:
        model: the sparse model to train.
        loss: a loss with ``compute_loss_from_embeddings(embeddings, labels)``; any of the sparse family but
            ``CSRLoss`` and the regularisers.
        document_regularizer_weight: of the penalty on documents, λ_d in the papers; around 3e-5 for dot
            products of a SPLADE model. Too large, and embeddings become all zero and never recover: let it
            rise with ``SpladeRegularizerWeightSchedulerCallback``, which the trainer adds by itself.
        query_regularizer_weight: of the penalty on queries, λ_q; None for none, as with queries that are
            looked up in a table.
        document_regularizer: a penalty with ``compute_loss_from_embeddings(embeddings)``; default:
            :class:`FlopsLoss`.
        query_regularizer: the same for queries.
        document_regularizer_threshold: ``threshold`` of the default penalty on documents.
        query_regularizer_threshold: of the default penalty on queries.
        use_document_regularizer_only: all columns are documents, as with pairs of like kind, and share one
            penalty.

    Raises:
        InvalidOption: ``loss`` or a regulariser cannot be computed from embeddings.
        InvalidInput: a batch without documents.

    References:
        - Formal et al., "From Distillation to Hard Negative Sampling: Making Sparse Neural IR Models More
          Effective": https://arxiv.org/abs/2205.04733

    Inputs:
        Those of ``loss``.

    Relations:
        - :class:`CachedSpladeLoss` has the same value and gradient in little memory.
        - :class:`CSRLoss` is for models that end in a ``SparseAutoEncoder``, sparse by construction.

    Example:
        ::

            from datasets import Dataset
            from stlib import SparseEncoder, SparseEncoderTrainer
            from stlib.sparse_encoder import losses

            model = SparseEncoder("distilbert/distilbert-base-uncased")
            data = Dataset.from_dict({
                "query": ["How do I cook rice?", "Who wrote Faust?"],
                "answer": ["Boil it in twice as much water.", "Goethe did."],
            })
            loss = losses.SpladeLoss(
                model,
                losses.SparseMultipleNegativesRankingLoss(model),
                document_regularizer_weight=3e-5,
                query_regularizer_weight=5e-5,
            )
            SparseEncoderTrainer(model=model, train_dataset=data, loss=loss).train()
    """

    def __init__(
        self,
        model: Any,
        loss: nn.Module,
        document_regularizer_weight: float,
        query_regularizer_weight: float | None = None,
        document_regularizer: nn.Module | None = None,
        query_regularizer: nn.Module | None = None,
        document_regularizer_threshold: int | None = None,
        query_regularizer_threshold: int | None = None,
        use_document_regularizer_only: bool = False,
    ) -> None:
        super().__init__()
        check_model(self, model)
        check_inner(self, loss)
        self.model = model
        self.loss: Any = loss
        self.use_document_regularizer_only = use_document_regularizer_only
        self.document_regularizer_weight = document_regularizer_weight
        self.query_regularizer_weight = self._weight_of_queries(query_regularizer_weight)
        if document_regularizer is None:
            document_regularizer = FlopsLoss(model, threshold=document_regularizer_threshold)
        if query_regularizer is None and not use_document_regularizer_only:
            query_regularizer = FlopsLoss(model, threshold=query_regularizer_threshold)
        _check_regularizer("document_regularizer", document_regularizer)
        _check_regularizer("query_regularizer", query_regularizer)
        self.document_regularizer: Any = document_regularizer
        self.query_regularizer: Any = query_regularizer

    def _weight_of_queries(self, weight: float | None) -> float | None:
        if not self.use_document_regularizer_only:
            if weight is None:
                logger.warning(
                    "query_regularizer_weight is None, so nothing keeps the embeddings of queries sparse. "
                    "That is right for queries that are looked up in a table; otherwise give one, e.g. 5e-5"
                )
            return weight
        if weight is not None:
            logger.warning(
                "query_regularizer_weight=%s is ignored, as use_document_regularizer_only takes all columns "
                "for documents",
                weight,
            )
        return None

    def forward(
        self, sentence_features: Iterable[dict[str, Any]], labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        columns = list(sentence_features)
        self._check_columns(columns)
        embeddings = embed_columns(self.model, columns, separate_first=not self.use_document_regularizer_only)
        return self.parts_of_loss(embeddings, labels)

    def parts_of_loss(self, embeddings: list[Tensor], labels: Tensor | None = None) -> dict[str, Tensor]:
        """The weighted parts by name, of columns ``[n, d]`` of embeddings."""
        parts = dict(named_parts(self.loss.compute_loss_from_embeddings(embeddings, labels)))
        documents = embeddings if self.use_document_regularizer_only else embeddings[1:]
        penalty = self.document_regularizer.compute_loss_from_embeddings(join_rows(documents))
        parts["document_regularizer_loss"] = penalty * self.document_regularizer_weight
        if self.query_regularizer_weight is not None:
            penalty = self.query_regularizer.compute_loss_from_embeddings(embeddings[0])
            parts["query_regularizer_loss"] = penalty * self.query_regularizer_weight
        return parts

    def _check_columns(self, columns: Sequence[Any]) -> None:
        least = 1 if self.use_document_regularizer_only else 2
        if len(columns) < least:
            raise InvalidInput(
                f"{type(self).__name__} got {len(columns)} column(s) of inputs and needs a query's and a "
                "document's; set use_document_regularizer_only=True if all inputs are documents"
            )

    def get_config_dict(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "loss": self.loss,
            "document_regularizer_weight": self.document_regularizer_weight,
        }
        if self.query_regularizer_weight is not None:
            config["query_regularizer_weight"] = self.query_regularizer_weight
        for name in ("document_regularizer", "query_regularizer"):
            regularizer = getattr(self, name)
            if regularizer is None:
                continue
            if not isinstance(regularizer, FlopsLoss):
                config[name] = type(regularizer).__name__
            threshold = getattr(regularizer, "threshold", None)
            if threshold is not None:
                config[f"{name}_threshold"] = threshold
        return config

    @property
    def citation(self) -> str:
        return """
@misc{formal2022distillationhardnegativesampling,
      title={From Distillation to Hard Negative Sampling: Making Sparse Neural IR Models More Effective},
      author={Thibault Formal and Carlos Lassance and Benjamin Piwowarski and Stéphane Clinchant},
      year={2022},
      eprint={2205.04733},
      archivePrefix={arXiv},
      primaryClass={cs.IR},
      url={https://arxiv.org/abs/2205.04733},
}
"""


def _check_regularizer(name: str, regularizer: Any) -> None:
    if regularizer is not None and not hasattr(regularizer, "compute_loss_from_embeddings"):
        raise InvalidOption(
            f"{name} is {describe_value(regularizer)}; pass a module with "
            "compute_loss_from_embeddings(embeddings), e.g. FlopsLoss(model), or None for that"
        )
