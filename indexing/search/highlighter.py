"""The highlighter that a collection uses unless told otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from indexing.lexical.analysis import FUNCTION_WORDS, analyze
from indexing.search.snippets import Highlighter
from stlib.runtime import Encoder, EncoderProtocol, ModelError, default_model_path

__all__ = ["default_highlighter"]

# Verbs that questions are made of; marking them, or function words, would mark half of every passage.
STOPWORDS = FUNCTION_WORDS | frozenset("all get like make need out over up use used using want way".split())


def default_highlighter(encoder: EncoderProtocol | None) -> Highlighter:
    """Marks stems as the keyword index sees them, and words that the bundled static model finds close in
    meaning.

    `encoder` is used if it is a static model itself, so that no second one is loaded.
    """
    return Highlighter(analyze, _word_vectors(encoder), STOPWORDS)


def _word_vectors(encoder: EncoderProtocol | None) -> Callable[[Sequence[str]], np.ndarray] | None:
    if isinstance(encoder, Encoder) and encoder.is_static:
        return encoder.encode
    try:
        return _load_bundled().encode
    except ModelError:
        return None  # a build without the model still marks the words themselves


@lru_cache(maxsize=1)
def _load_bundled() -> Encoder:
    return Encoder.load(default_model_path())
