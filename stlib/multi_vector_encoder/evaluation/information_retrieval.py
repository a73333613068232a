"""How well a late-interaction model finds the relevant documents of queries in a corpus."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from stlib.base.evaluation.retrieval import ScoreFunctions
from stlib.errors import InvalidOption
from stlib.multi_vector_encoder.evaluation.tokens import encode_tokens, refuse_truncation
from stlib.multi_vector_encoder.scoring import XTRScores, xtr_scores
from stlib.sentence_transformer.evaluation.information_retrieval import (
    InformationRetrievalEvaluator,
    Judgments,
)

logger = logging.getLogger(__name__)

# Names of the prompts that a model puts before each kind of text by itself.
_ROLES = {"query_prompt": "query", "corpus_prompt": "document"}


class MultiVectorInformationRetrievalEvaluator(InformationRetrievalEvaluator):
    """Searches a corpus with every query by late interaction and measures the rankings.

    Metrics and further arguments are those of ``InformationRetrievalEvaluator``; the score is the model's
    ``similarity``, so metrics have names such as ``maxsim_ndcg@10``.

    Args:
        queries: texts (or other inputs of the model) by query id.
        corpus: documents by id.
        relevant_docs: per query id, the set of relevant document ids, or their grades by id.
        corpus_chunk_size: documents encoded and scored at a time; all their token vectors are in memory.
        chunk_elements: numbers held at a time while scoring, see :func:`stlib.util.maxsim`.
        score_functions: functions ``(queries, documents) -> [q, n]`` of lists of token vectors by name. XTR's
            are refused: their scores depend on all documents at once, and the corpus comes in chunks.
        kwargs: as for ``InformationRetrievalEvaluator``.

    Raises:
        InvalidOption: ``truncate_dim`` is set, ``chunk_elements`` stands beside functions that do not take
            it, or a function cannot score a corpus in chunks.
        InvalidInput: as for ``InformationRetrievalEvaluator``.

    Example::

        evaluator = MultiVectorInformationRetrievalEvaluator(
            queries={"q1": "how do birds fly"},
            corpus={"d1": "Wings lift a bird.", "d2": "Bread is baked in an oven."},
            relevant_docs={"q1": {"d1"}},
            name="tiny",
        )
        print(evaluator(model)[evaluator.primary_metric])  # tiny_maxsim_ndcg@10
    """

    def __init__(
        self,
        queries: dict[Any, Any],
        corpus: dict[Any, Any],
        relevant_docs: Mapping[Any, Judgments],
        *,
        corpus_chunk_size: int = 5000,
        chunk_elements: int | None = None,
        score_functions: ScoreFunctions | None = None,
        **kwargs: Any,
    ) -> None:
        refuse_truncation(kwargs.get("truncate_dim"))
        _check_functions(score_functions, chunk_elements)
        self.chunk_elements = chunk_elements
        super().__init__(
            queries,
            corpus,
            relevant_docs,
            corpus_chunk_size=corpus_chunk_size,
            score_functions=score_functions,
            **kwargs,
        )

    def __call__(self, model: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Metrics by name; see the class."""
        for argument, role in _ROLES.items():
            given, own = getattr(self, argument), (getattr(model, "prompts", None) or {}).get(role)
            if given is not None and own and not given.startswith(own):
                logger.warning(
                    "%s is %r and takes the place of the model's own %r, which it was trained with; begin "
                    "with that to have both",
                    argument,
                    given,
                    own,
                )
        return super().__call__(model, *args, **kwargs)

    def score_functions_of(self, model: Any) -> ScoreFunctions:
        """The model's own similarity, under its name."""
        if self.chunk_elements is None:
            return super().score_functions_of(model)
        scores = partial(model.similarity, chunk_elements=self.chunk_elements)
        return {model.similarity_fn_name: scores}

    def embed_inputs(
        self,
        model: Any,
        sentences: Any,
        encode_fn_name: str | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Token vectors by ``encode``, or by ``encode_{encode_fn_name}`` (``"query"``, ``"document"``)."""
        options = {"batch_size": self.batch_size, "show_progress_bar": self.show_progress_bar, **kwargs}
        options |= {"prompt_name": prompt_name, "prompt": prompt}
        return encode_tokens(model, sentences, encode_fn_name, **options)


def _check_functions(functions: ScoreFunctions | None, chunk_elements: int | None) -> None:
    if functions is None:
        return
    if chunk_elements is not None:
        raise InvalidOption(
            f"chunk_elements is {chunk_elements} and score_functions are given, which would not know of it; "
            "bind it into your own: functools.partial(maxsim, chunk_elements=…)"
        )
    for name, function in functions.items():
        inner: Any = function.func if isinstance(function, partial) else function
        inner = getattr(inner, "_torchdynamo_orig_callable", inner)  # of a compiled function
        if inner is xtr_scores or isinstance(inner, XTRScores):
            raise InvalidOption(
                f"score_functions[{name!r}] is an XTR score, which depends on all documents at once, and the "
                "corpus is scored in chunks; use maxsim"
            )
