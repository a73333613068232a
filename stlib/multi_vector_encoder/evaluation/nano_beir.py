"""Retrieval by late interaction measured on several small datasets, and the mean."""

from __future__ import annotations

from typing import Any

from stlib.multi_vector_encoder.evaluation.information_retrieval import (
    MultiVectorInformationRetrievalEvaluator,
)
from stlib.multi_vector_encoder.evaluation.tokens import refuse_truncation
from stlib.sentence_transformer.evaluation.information_retrieval import InformationRetrievalEvaluator
from stlib.sentence_transformer.evaluation.nano_beir import NanoBEIREvaluator


class MultiVectorNanoBEIREvaluator(NanoBEIREvaluator):
    """Runs a :class:`MultiVectorInformationRetrievalEvaluator` on each of several datasets and averages.

    Args:
        args: as for ``NanoBEIREvaluator``.
        corpus_chunk_size: documents encoded and scored at a time.
        chunk_elements: numbers held at a time while scoring.
        kwargs: as for ``NanoBEIREvaluator``, but for ``truncate_dim``.

    Raises:
        InvalidOption: as for ``NanoBEIREvaluator``, and for ``truncate_dim``.
        InvalidInput, MissingDependency: as for ``NanoBEIREvaluator``.

    Example::

        evaluator = MultiVectorNanoBEIREvaluator(["msmarco", "nq"])
        print(evaluator(model)[evaluator.primary_metric])  # NanoBEIR_mean_maxsim_ndcg@10
    """

    information_retrieval_class = MultiVectorInformationRetrievalEvaluator

    def __init__(
        self, *args: Any, corpus_chunk_size: int = 5000, chunk_elements: int | None = None, **kwargs: Any
    ) -> None:
        refuse_truncation(kwargs.get("truncate_dim"))
        self._scoring = {"corpus_chunk_size": corpus_chunk_size, "chunk_elements": chunk_elements}
        super().__init__(*args, **kwargs)

    def evaluator_of(self, dataset_name: str, **options: Any) -> InformationRetrievalEvaluator:
        return super().evaluator_of(dataset_name, **options, **self._scoring)
