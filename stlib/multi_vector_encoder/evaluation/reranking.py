"""How well a late-interaction model orders the documents that were found for a query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor

from stlib.multi_vector_encoder.evaluation.tokens import encode_tokens
from stlib.sentence_transformer.evaluation.reranking import RerankingEvaluator


class MultiVectorRerankingEvaluator(RerankingEvaluator):
    """Orders the documents of each query by late interaction and measures the rankings.

    Metrics are ``map``, ``mrr@{at_k}`` and ``ndcg@{at_k}``, as of ``RerankingEvaluator``.

    Args:
        samples: dicts with ``query``, ``positive`` (relevant documents, or one) and either ``negative``
            (documents that are not) or ``documents`` (all that were found).
        at_k: documents looked at for MRR and NDCG.
        name: put in front of metrics and into file names.
        write_csv: append a row to ``RerankingEvaluator_{name}_results_@{at_k}.csv`` at each call.
        similarity_fct: ``(query, documents) -> [n]`` or ``[1, n]``, larger is better; default: the model's
            ``similarity``. The query comes as ``[tokens, d]`` when samples are encoded together and as a list
            of one such matrix one by one, the documents as a list.
        batch_size: passed to ``encode``.
        show_progress_bar: show bars.
        use_batched_encoding: encode all samples together; False encodes one sample at a time, which holds
            only its own vectors.

    Raises:
        InvalidInput: a sample lacks a key, or none has positives and negatives.
        InvalidOption: ``at_k`` is below 1.

    Example::

        samples = [{
            "query": "how do birds fly",
            "positive": ["Wings lift a bird."],
            "negative": ["Bread is baked in an oven.", "Rivers flow to the sea."],
        }]
        evaluator = MultiVectorRerankingEvaluator(samples, name="tiny")
        print(evaluator(model)[evaluator.primary_metric])  # tiny_ndcg@10
    """

    def __init__(
        self,
        samples: Iterable[Mapping[str, Any]] | Mapping[Any, Mapping[str, Any]],
        *,
        at_k: int = 10,
        name: str = "",
        write_csv: bool = True,
        similarity_fct: Callable[..., Tensor] | None = None,
        batch_size: int = 16,
        show_progress_bar: bool = False,
        use_batched_encoding: bool = True,
    ) -> None:
        self._given_similarity = similarity_fct
        super().__init__(
            samples,
            at_k=at_k,
            name=name,
            write_csv=write_csv,
            batch_size=batch_size,
            show_progress_bar=show_progress_bar,
            use_batched_encoding=use_batched_encoding,
        )

    def compute_metrics(self, model: Any) -> dict[str, float]:
        """``map``, ``mrr`` and ``ndcg``, by the model's similarity unless another one was given."""
        self.similarity_fct = self._given_similarity or (
            lambda query, documents: model.similarity(
                query if isinstance(query, list) else [query], documents
            )
        )
        return super().compute_metrics(model)

    compute_metrices = compute_metrics  # its older name

    def embed_inputs(
        self,
        model: Any,
        sentences: Any,
        encode_fn_name: str | None = None,
        show_progress_bar: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Token vectors by ``encode``, or by ``encode_{encode_fn_name}`` (``"query"``, ``"document"``)."""
        options = {"batch_size": self.batch_size, "show_progress_bar": show_progress_bar, **kwargs}
        return encode_tokens(model, sentences, encode_fn_name, **options)
