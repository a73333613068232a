"""The highlighter that a collection uses unless told otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from indexing.lexical import analyze
from indexing.search.snippets import Highlighter
from stlib.runtime import Encoder, EncoderProtocol, ModelError, default_model_path

__all__ = ["default_highlighter"]

# Words that ask or join; marking them would mark half of every passage.
STOPWORDS = frozenset(
    (
        "a about all also an and any are as at be been but by can could did do does for from get had has have "
        "how i if in into is it its just like make me my need not of on one or our out over should so some such "
        "than that the their them then there these they this to up use used using want was we were what when "
        "where which while who why will with would you your"
    ).split()
)


def default_highlighter(encoder: EncoderProtocol | None) -> Highlighter:
    """Marks stems as the keyword index sees them, and words that the bundled static model finds close in
    meaning.

    `encoder` is used if it is the bundled model already, so that it is not loaded twice.
    """
    return Highlighter(analyze, _word_vectors(encoder), STOPWORDS)


def _word_vectors(encoder: EncoderProtocol | None) -> Callable[[Sequence[str]], np.ndarray] | None:
    if isinstance(encoder, Encoder):
        return encoder.encode
    try:
        return _bundled().encode
    except ModelError:
        return None  # a build without the model still marks the words themselves


@lru_cache(maxsize=1)
def _bundled() -> Encoder:
    return Encoder.load(default_model_path())
