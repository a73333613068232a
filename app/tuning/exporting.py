"""The tuned query side as a model of its own: a `Router` whose document route is the model as indexed.

A folder that `stlib` and Sentence Transformers load; its questions have the vectors that the serving searches
with, and its documents those that are stored, before they were quantised.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from indexing.errors import BadInput

if TYPE_CHECKING:
    from indexing import Collection
    from indexing.search.settings import Head

__all__ = ["export_query_model"]


def export_query_model(collection: Collection, folder: Path, serving: int | None = None) -> None:
    """Writes the model of a serving that has learned a head (None: the live one) to `folder`, a new one.

    It needs torch, as the library's models do.

    Raises:
        BadInput: the serving has no head, its model is none that the library loads, or `folder` exists.
    """
    with collection.probe(serving) as probe:
        head, number = probe.settings.head, probe.serving_id
        encoder = probe.searcher.encoder_of(probe.generation)
    if head is None:
        raise BadInput(
            f"serving {number} of {collection.name!r} searches with its model as it is: tune its query side"
            " first"
        )
    if folder.exists():
        raise BadInput(f"{folder} exists: give a new folder")
    source = getattr(encoder, "source", None)
    if not isinstance(source, str):
        raise BadInput(
            f"the model of serving {number} is a function or an object in memory, and cannot be saved"
        )
    _save(source, whole_matrix(head), folder)


def whole_matrix(head: Head) -> np.ndarray:
    """The map as one matrix, float32 [d, d]."""
    if head.down is None:
        return head.matrix
    return (np.eye(head.dimension) + head.matrix @ head.down).astype(np.float32)


def _save(source: str, matrix: np.ndarray, folder: Path) -> None:
    import torch

    from stlib import SentenceTransformer
    from stlib.models import Dense, Normalize, Router

    try:
        base = SentenceTransformer(source)
    except Exception as error:  # whatever the library says of it
        raise BadInput(f"the model {source!r} cannot be loaded by the library: {error}") from error
    modules = list(base.children())
    dense = Dense(
        matrix.shape[1],
        matrix.shape[0],
        bias=False,
        activation_function=torch.nn.Identity(),
        init_weight=torch.from_numpy(matrix.copy()),
    )
    router = Router.for_query_document([*modules, Normalize(), dense, Normalize()], [*modules, Normalize()])
    model = SentenceTransformer(modules=[router], prompts=dict(base.prompts), similarity_fn_name="cosine")
    model.save(str(folder))
