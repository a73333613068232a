"""Vectors and a better order for programs that know these calls from OpenAI, Cohere and Jina.

What they take and give is those companies' shape; the models are this service's own, see `app.facade.models`.
"""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal
from uuid import uuid4

import numpy as np
from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.api.dependencies import Asking, Held
from app.api.errors import ERROR_ANSWERS, NotFound, json_bytes
from app.api.service import Service
from app.facade.caller import Caller, require
from app.facade.models import LONGEST_DOCUMENT, MOST_DOCUMENTS, MOST_TEXTS, Embedded, LentModel
from indexing.names import BUNDLED_MODEL, BUNDLED_RERANKER

__all__ = ["router"]

router = APIRouter(tags=["models"], responses=ERROR_ANSWERS)

_LONGEST_NAME = 300
_LONGEST_QUERY = 200_000


class ModelShown(BaseModel):
    """A model that may be named here. `kind` is `embedding` or `reranker`."""

    id: str = Field(examples=[BUNDLED_MODEL])
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "stlib"
    kind: str = Field(examples=["embedding"])
    dimension: int | None = Field(None, description="Of the vectors, where that is known without loading it.")

    @classmethod
    def of(cls, model: LentModel) -> ModelShown:
        return cls(id=model.id, kind=model.kind, dimension=model.dimension)


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelShown]


class EmbeddingRequest(BaseModel):
    """As OpenAI's clients send it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"model": BUNDLED_MODEL, "input": ["who audits us", "the audit report"]}]
        },
    )

    model: str = Field(max_length=_LONGEST_NAME, description="One that `/v1/models` lists.")
    input: (
        Annotated[str, Field(min_length=1)] | Annotated[list[str], Field(min_length=1, max_length=MOST_TEXTS)]
    )
    encoding_format: Literal["float", "base64"] = Field(
        "float", description="`base64`: the bytes of little-endian float32 numbers."
    )
    dimensions: int | None = Field(
        None, ge=1, description="Only so many of the first numbers, made a vector of length 1 again."
    )
    input_type: Literal["document", "query"] = Field(
        "document", description="How texts are embedded, for models to which that is a difference."
    )
    user: str | None = Field(None, max_length=1000, description="Taken, and neither used nor kept.")

    @field_validator("input", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        if not 1 <= len(value) <= MOST_TEXTS:
            raise ValueError(f"{len(value):,} texts: give 1 to {MOST_TEXTS:,}, more in several requests")
        if isinstance(value[0], int | list) and not isinstance(value[0], bool):
            raise ValueError(
                "these are numbers of tokens, which mean something else to every model: send the texts"
                " (LangChain: OpenAIEmbeddings(check_embedding_ctx_length=False))"
            )
        return value


class EmbeddingShown(BaseModel):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str = Field(description="Numbers, or their bytes in base64.")


class EmbeddingUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(BaseModel):
    """Vectors of length 1 in the order of the texts."""

    object: Literal["list"] = "list"
    data: list[EmbeddingShown]
    model: str
    usage: EmbeddingUsage


class RerankRequest(BaseModel):
    """As Cohere's and Jina's clients send it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "model": BUNDLED_RERANKER,
                    "query": "who audits us",
                    "documents": ["Lunch is at noon.", "The auditors come in May."],
                    "top_n": 1,
                }
            ]
        },
    )

    model: str = Field(BUNDLED_RERANKER, max_length=_LONGEST_NAME, description="One that `/v1/models` lists.")
    query: str = Field(min_length=1, max_length=_LONGEST_QUERY)
    documents: list[str | dict[str, Any]] = Field(
        min_length=1,
        max_length=MOST_DOCUMENTS,
        description="Texts, or objects of which `rank_fields` are read.",
    )
    top_n: int | None = Field(None, ge=1, description="Only so many of the best.")
    return_documents: bool = Field(False, description="With the documents as they came.")
    rank_fields: list[str] = Field(
        ["text"], min_length=1, max_length=10, description="Read in this order; one named again is read once."
    )
    max_tokens_per_doc: int | None = Field(
        None, ge=1, description="About so many tokens of a document are read; some 3,600 at most."
    )
    priority: int | None = Field(None, description="Taken, and not used.")


class Relevance(BaseModel):
    index: int = Field(description="Of the document in the request.")
    relevance_score: float = Field(ge=0, le=1)
    document: dict[str, Any] | None = None


class RerankShown(BaseModel):
    """The documents, the best first."""

    id: str
    model: str
    results: list[Relevance]
    usage: dict[str, int] = Field(examples=[{"total_tokens": 12}])
    meta: dict[str, Any] = Field(examples=[{"api_version": {"version": "2"}}])


@router.get("/v1/models", summary="List models", operation_id="list_models")
def list_models(caller: Asking, service: Held) -> ModelList:
    """What may be named in requests for vectors and for a better order."""
    return ModelList(data=[ModelShown.of(one) for one in service.models.all(caller)])


@router.get("/v1/models/{model:path}", summary="Describe a model", operation_id="get_model")
def get_model(
    model: Annotated[str, Path(max_length=_LONGEST_NAME)], caller: Asking, service: Held
) -> ModelShown:
    for one in service.models.all(caller):
        if one.id == model:
            return ModelShown.of(one)
    raise NotFound("no model of this name may be used here: /v1/models lists those that may")


@router.post(
    "/v1/embeddings", summary="Embed texts", operation_id="embed_texts", response_model=EmbeddingList
)
async def embed_texts(asked: EmbeddingRequest, caller: Asking, service: Held) -> Response:
    """Vectors of texts, as documents are embedded unless `input_type` says `query`. A model is never loaded
    because a request names it: `/v1/models` lists those that whoever runs the service lends.
    """
    require(caller, "search")
    return Response(await service.run(_embed, service, caller, asked), media_type="application/json")


def _embed(service: Service, caller: Caller, asked: EmbeddingRequest) -> bytes:
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    with service.telemetry.operation("embeddings", asked.model) as told:
        made = service.models.embed(
            caller, asked.model, texts, dimensions=asked.dimensions, query=asked.input_type == "query"
        )
        told.embedded(made)
    usage = {"prompt_tokens": made.tokens, "total_tokens": made.tokens}
    data = [
        {"object": "embedding", "index": index, "embedding": one}
        for index, one in enumerate(_spell(made, asked.encoding_format))
    ]
    return json_bytes({"object": "list", "data": data, "model": made.model, "usage": usage})


def _spell(made: Embedded, encoding: str) -> list[Any]:
    if encoding == "float":
        return list(made.vectors.tolist())
    little = made.vectors.astype(np.dtype("<f4"), copy=False)
    return [base64.b64encode(row.tobytes()).decode("ascii") for row in little]


@router.post("/v1/rerank", summary="Order texts", operation_id="rerank_texts", response_model=RerankShown)
async def rerank_texts(asked: RerankRequest, caller: Asking, service: Held) -> Response:
    """The documents in the order in which they answer the query, with a relevance from 0 to 1: a number to
    order by, and no probability.
    """
    require(caller, "search")
    return Response(await service.run(_rerank, service, caller, asked), media_type="application/json")


router.add_api_route(
    "/v2/rerank",
    rerank_texts,
    methods=["POST"],
    summary="Order texts, where Cohere's client of today asks",
    operation_id="rerank_texts_v2",
    response_model=RerankShown,
)


def _rerank(service: Service, caller: Caller, asked: RerankRequest) -> bytes:
    texts = [_text_of(one, asked.rank_fields) for one in asked.documents]
    with service.telemetry.operation("rerank", asked.model) as told:
        made = service.models.rerank(
            caller, asked.model, asked.query, texts, best=asked.top_n, tokens=asked.max_tokens_per_doc
        )
        told.reranked(len(texts), made)
    results = [
        {
            "index": index,
            "relevance_score": relevance,
            **({"document": _object_of(asked.documents[index])} if asked.return_documents else {}),
        }
        for index, relevance in made.order
    ]
    return json_bytes(
        {
            "id": str(uuid4()),
            "model": made.model,
            "results": results,
            "usage": {"total_tokens": made.tokens},
            "meta": {"api_version": {"version": "2"}},
        }
    )


def _text_of(document: str | dict[str, Any], fields: list[str]) -> str:
    if isinstance(document, str):
        return document
    text = ""
    for field in dict.fromkeys(fields):
        if document.get(field) is not None and len(text) < LONGEST_DOCUMENT:
            told = document[field] if isinstance(document[field], str) else str(document[field])
            text += ("\n" if text else "") + told[:LONGEST_DOCUMENT]
    return text


def _object_of(document: str | dict[str, Any]) -> dict[str, Any]:
    return {"text": document} if isinstance(document, str) else document
