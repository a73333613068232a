"""Vectors that somebody brings for documents: one row each, and of the collection's model if it has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from indexing.catalog.generations import GenerationInfo
from indexing.documents import Document
from indexing.embed import chunk_text
from indexing.errors import BadInput
from indexing.models.encoders import normalise
from stlib.runtime import EncoderProtocol

__all__ = ["pair", "require_same_model"]

_COMPARED = 16
"""Documents that are embedded to see whose vectors these are: a tenth of a second with a transformer."""

_LEAST_ALIKE = 0.98
"""The cosine of vectors of one model, made by other numbers, lengths or precisions, is above it in the middle
of the documents; vectors of two models are as good as perpendicular.
"""


def pair(documents: list[Any], vectors: Any, generation: GenerationInfo) -> tuple[list[Any], np.ndarray]:
    """Documents with one row each.

    Raises:
        BadInput: another number or width of vectors, or values that are not finite.
    """
    rows = np.asarray(vectors, dtype=np.float32)
    if rows.shape != (len(documents), generation.dimension):
        raise BadInput(
            f"vectors have the shape {list(rows.shape)}, expected [{len(documents)}, "
            f"{generation.dimension}]: one "
            "row for each document"
        )
    if not np.isfinite(rows).all():
        bad = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise BadInput(f"the vector of document {bad} has NaN or infinite values")
    return documents, rows


def require_same_model(documents: Sequence[Any], vectors: np.ndarray, encoder: EncoderProtocol) -> None:
    """Embeds some of `documents` and compares the result with their `vectors` [n, d].

    Raises:
        BadInput: they are of another model, or of texts that were prepared in another way.
    """
    usable = [(at, one) for at, one in enumerate(documents) if isinstance(one, (Document, Mapping))]
    if not usable:
        return
    places = np.unique(np.linspace(0, len(usable) - 1, _COMPARED).astype(int))
    chosen = [usable[place] for place in places]
    sample = [Document.from_any(one) for _, one in chosen]
    given = normalise(vectors[[at for at, _ in chosen]])
    # Other tools embed a text alone, and some its title with it, as is done here.
    cosines = _cosines(given, [one.text for one in sample], encoder)
    if any(one.title for one in sample):
        titled = [chunk_text(one.title, one.text) for one in sample]
        cosines = np.maximum(cosines, _cosines(given, titled, encoder))
    alike = float(np.median(cosines))
    if alike < _LEAST_ALIKE:
        raise BadInput(
            f"these vectors are not those of this collection's model ({encoder.name}): those that it gives"
            f" for {len(sample)} of the documents are like them by {alike:.2f} in the middle (cosine), and"
            f" {_LEAST_ALIKE} is the least. Leave vectors= away and texts are embedded, or bring yours to a"
            " collection made with dimension="
        )


def _cosines(given: np.ndarray, texts: list[str], encoder: EncoderProtocol) -> np.ndarray:
    own = normalise(np.asarray(encoder.encode_document(texts)))
    return np.einsum("ij,ij->i", own, given)
