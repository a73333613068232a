"""Whether the rows of what is served make sense: a catalog may have been altered."""

from __future__ import annotations

from typing import Any

from indexing.beside.models import read_beside
from indexing.catalog.generations import GenerationInfo
from indexing.catalog.servings import ServingInfo
from indexing.documents import ChunkSettings
from indexing.errors import BadInput
from indexing.names import ENGINES, PRECISIONS
from indexing.quantization import Codec

__all__ = ["check_generation", "check_served"]


def check_served(serving: ServingInfo, generation: GenerationInfo) -> Codec | None:
    """The codec of what is served; None before the first vectors.

    Raises:
        BadInput: a setting that nothing can be served with.
    """
    if serving.engine not in ENGINES:
        raise BadInput(f"serving {serving.id} has the engine {serving.engine!r}")
    weights = serving.ranking.get("weights", {})
    if not isinstance(weights, dict) or not all(_is_number(weight) for weight in weights.values()):
        raise BadInput(f"serving {serving.id} has weights that are no numbers")
    reranker = serving.reranker
    if reranker is not None and not all(isinstance(reranker.get(k), str) for k in ("name", "fingerprint")):
        raise BadInput(f"serving {serving.id} names its reranker without a name and a fingerprint")
    return check_generation(generation)


def check_generation(generation: GenerationInfo) -> Codec | None:
    """Its codec; None before the first vectors.

    Raises:
        BadInput: precision, dimension, passages and codec do not fit together.
    """
    what = f"generation {generation.id}"
    if generation.precision not in PRECISIONS or generation.dimension < 1:
        raise BadInput(f"{what} has {generation.dimension} dimensions in {generation.precision!r}")
    try:
        ChunkSettings(**generation.chunking)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{what} has no settings of passages ({error})") from error
    read_beside(generation.beside)
    if not generation.codec:
        return None
    codec = Codec.from_json(generation.codec)
    if (codec.precision, codec.dimension) != (generation.precision, generation.dimension):
        raise BadInput(f"{what} has codes of another precision or dimension than it says")
    return codec


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
