"""A document of Haystack in a collection, and back."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from haystack.dataclasses import ByteStream, Document, SparseEmbedding

from indexing.catalog.stored import StoredDocument
from indexing.errors import BadInput
from indexing.frameworks.store import score_of
from indexing.search.results import Result

__all__ = ["KEPT", "SEARCHED", "retrieved", "stored", "written"]

KEPT = "_haystack"
"""What collections have no place for: embeddings as they came, blobs, sparse embeddings."""
SEARCHED = f"{KEPT}.searched"
_NO_TEXT = "(no text)"


def stored(document: Document, *, searched: bool | None) -> dict[str, Any]:
    """What `Collection.add` takes; `searched` says whether its embedding is its vector, None that it is not.

    Raises:
        BadInput: its metadata has a name that is taken here.
    """
    if KEPT in document.meta:
        raise BadInput(f"document {document.id!r}: the name {KEPT!r} in its meta is taken; use another one")
    kept: dict[str, Any] = {} if searched is None else {"searched": searched}
    if document.embedding is not None:
        kept["embedding"] = _packed(document.embedding)
    if document.blob is not None:
        kept["blob"] = {
            "data": base64.b64encode(document.blob.data).decode(),
            "meta": document.blob.meta,
            "mime_type": document.blob.mime_type,
        }
    if document.sparse_embedding is not None:
        kept["sparse_embedding"] = document.sparse_embedding.to_dict()
    text = document.content
    if text is None or not text.strip():
        kept["content"], text = text, _NO_TEXT
    metadata = {**document.meta, **({KEPT: kept} if kept else {})}
    return {"id": document.id, "text": text, "metadata": metadata}


def written(
    one: StoredDocument | Result, score: float | None = None, *, with_embedding: bool = True
) -> Document:
    """The document as it was written."""
    metadata = dict(one.metadata)
    kept = metadata.pop(KEPT, {})
    blob, sparse = kept.get("blob"), kept.get("sparse_embedding")
    return Document(
        id=one.id,
        content=kept.get("content") if "content" in kept else one.text,
        meta=metadata,
        score=score,
        embedding=_unpacked(kept["embedding"]) if with_embedding and "embedding" in kept else None,
        blob=None
        if blob is None
        else ByteStream(base64.b64decode(blob["data"]), meta=blob["meta"], mime_type=blob["mime_type"]),
        sparse_embedding=None if sparse is None else SparseEmbedding.from_dict(sparse),
    )


def retrieved(result: Result, mode: str, return_embedding: bool) -> Document:
    """What a retriever gives."""
    return written(result, score_of(result, mode), with_embedding=return_embedding)


def _packed(embedding: list[float]) -> str:
    return base64.b64encode(np.asarray(embedding, "<f8").tobytes()).decode()


def _unpacked(text: str) -> list[float]:
    numbers: list[float] = np.frombuffer(base64.b64decode(text), "<f8").tolist()
    return numbers
