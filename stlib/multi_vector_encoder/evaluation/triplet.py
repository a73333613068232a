"""How often an anchor is nearer to its positive than to its negative, by late interaction."""

from __future__ import annotations

from typing import Any

from stlib.multi_vector_encoder.evaluation.tokens import encode_tokens, refuse_truncation
from stlib.multi_vector_encoder.model import MultiVectorEncoder
from stlib.sentence_transformer.evaluation.triplet import TripletEvaluator


class MultiVectorTripletEvaluator(TripletEvaluator):
    """Share of triplets with ``score(anchor, positive) > score(anchor, negative) + margin``.

    Args:
        args: as for ``TripletEvaluator``.
        kwargs: as for ``TripletEvaluator``, but for ``truncate_dim``. Similarities, and keys of a dict of
            margins, are ``maxsim`` and ``meanmaxsim``. Those two want different margins: the first grows with
            the query's tokens, the second lies between -1 and 1 as a cosine does.

    Raises:
        InvalidInput: the columns are empty or differ in length.
        InvalidOption: another similarity, a margin of another form, or ``truncate_dim``.

    Example::

        evaluator = MultiVectorTripletEvaluator(["A dog runs."], ["A pet is running."], ["It rains."])
        model.evaluate(evaluator)["maxsim_accuracy"]
    """

    similarities = MultiVectorEncoder.SUPPORTED_SIMILARITY_FN_NAMES

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        refuse_truncation(kwargs.get("truncate_dim"))
        super().__init__(*args, **kwargs)

    def embed_inputs(
        self, model: Any, sentences: Any, encode_fn_name: str | None = None, **kwargs: Any
    ) -> Any:
        """Token vectors by ``encode``, or by ``encode_{encode_fn_name}`` (``"query"``, ``"document"``)."""
        options = {"batch_size": self.batch_size, "show_progress_bar": self.show_progress_bar, **kwargs}
        return encode_tokens(model, sentences, encode_fn_name, **options)
