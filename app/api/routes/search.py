"""Search: by GET for links and by hand, by POST for all that can be asked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import Asking, Held, needs
from app.api.errors import ERROR_ANSWERS, json_bytes, json_response
from app.api.service import Service
from app.facade.asking import ask
from app.facade.caller import Caller, require
from app.facade.documents import check_length
from indexing.errors import BadInput
from indexing.names import (
    BUNDLED_RERANKER,
    DEFAULT_RERANK_DEPTH,
    DEFAULT_RESULTS,
    SERVING_RERANKER,
    TOKENS_RERANKER,
)

__all__ = ["router"]

router = APIRouter(prefix="/v1/collections/{name}", tags=["search"], responses=ERROR_ANSWERS)

MOST_RESULTS = 1_000
MOST_OFFSET = 10_000
MOST_RERANKED = 1_000
MOST_NUMBERS = 16_384  # of a vector
MOST_CHARACTERS = 200_000  # of a question or a filter; what a question has beyond 20,000 is not looked for
# Nobody waits longer for a better order, and a thread that reranks searches for nobody else.
RERANK_BUDGET_MS = 1_500.0

Mode = Literal["hybrid", "semantic", "keyword"]  # indexing.names.MODES, the first where nothing is said


class Asked(BaseModel):
    """A question. `Collection.search` says what each part means."""

    model_config = ConfigDict(extra="forbid")

    query: str | None = Field(None, max_length=MOST_CHARACTERS, examples=["who audits us"])
    k: int = Field(DEFAULT_RESULTS, ge=1, le=MOST_RESULTS, description="How many documents.")
    offset: int = Field(0, ge=0, le=MOST_OFFSET, description="How many better ones to leave out.")
    seq: int | None = Field(None, ge=0, description="Of the page before: what came since is left out.")
    mode: Mode = Field("hybrid", description="Which legs look.")
    filter: str | dict[str, Any] | None = Field(None, description="Such as `year >= 2020 and kind = 'book'`.")
    vector: list[float] | None = Field(
        None, max_length=MOST_NUMBERS, description="In place of the vector of the question."
    )
    rerank: str | None = Field(
        None,
        max_length=1_000,
        description="Nothing: as the collection is served. Empty: none. Else one that the service knows: "
        f"`{BUNDLED_RERANKER}`, `{TOKENS_RERANKER}`, or one that whoever runs it lists.",
    )
    rerank_depth: int = Field(DEFAULT_RERANK_DEPTH, ge=1, le=MOST_RERANKED)
    rerank_budget_ms: float = Field(RERANK_BUDGET_MS, ge=0, le=60_000)
    serving: int | None = Field(None, ge=0, description="Answers in place of the live one.")
    explain: bool = Field(False, description="With the milliseconds of each step.")
    text: bool = Field(True, description="With the whole text of each document.")
    facets: bool = Field(False, description="With the values of metadata fields of the collection.")


@router.post("/search", summary="Search", operation_id="search")
async def search(name: str, asked: Asked, caller: Asking, service: Held) -> Response:
    """The best documents for a question, each with its best passage. `parts` of each say how its score came
    about.
    """
    return await _answer(service, caller, name, asked)


@router.get("/search", summary="Search by an address", operation_id="search_by_address")
async def search_by_address(
    name: str,
    caller: Asking,
    service: Held,
    q: Annotated[str, Query(max_length=MOST_CHARACTERS)],
    k: Annotated[int, Query(ge=1, le=MOST_RESULTS)] = DEFAULT_RESULTS,
    offset: Annotated[int, Query(ge=0, le=MOST_OFFSET)] = 0,
    seq: Annotated[int | None, Query(ge=0)] = None,
    mode: Mode = "hybrid",
    filter: Annotated[str | None, Query(max_length=MOST_CHARACTERS)] = None,
    rerank: Annotated[str | None, Query(max_length=1_000)] = None,
    serving: Annotated[int | None, Query(ge=0)] = None,
    explain: bool = False,
    text: bool = True,
    facets: bool = False,
) -> Response:
    """The same as POST, as far as an address can say it."""
    asked = Asked(  # type: ignore[call-arg] # what it does not say has its default
        query=q,
        k=k,
        offset=offset,
        seq=seq,
        mode=mode,
        filter=filter,
        rerank=rerank,
        serving=serving,
        explain=explain,
        text=text,
        facets=facets,
    )
    return await _answer(service, caller, name, asked)


@router.get(
    "/facets", summary="Values of metadata fields", operation_id="list_facets", dependencies=[needs("search")]
)
def facets(
    name: str, caller: Asking, service: Held, max_values: Annotated[int, Query(ge=1, le=1_000)] = 100
) -> Response:
    """Each field with its most frequent values, for building filters. Numbers may be half a minute old."""
    return json_response(service.facets(caller, name, max_values))


async def _answer(service: Service, caller: Caller, name: str, asked: Asked) -> Response:
    # Refused before a thread is waited for, and before anything is read.
    require(caller, "search", name)
    return Response(await service.run(_search, service, caller, name, asked), media_type="application/json")


def _search(service: Service, caller: Caller, name: str, asked: Asked) -> bytes:
    """The answer as JSON, made in the thread that searched."""
    collection = service.collection(name)
    found = ask(
        caller,
        service.location,
        collection,
        asked.query,
        asked.k,
        offset=asked.offset,
        seq=asked.seq,
        mode=asked.mode,
        filter=asked.filter or None,
        vector=asked.vector,
        rerank=_reranker(service, asked.rerank),
        rerank_depth=asked.rerank_depth,
        rerank_budget_ms=asked.rerank_budget_ms,
        serving=asked.serving,
    )
    if asked.text and len(found) > 1:
        check_length(sum(len(one.text) for one in found))
    answer = found.to_dict()
    if not asked.text:
        for result in answer["results"]:
            del result["text"]
    if asked.explain:
        answer["steps"] = found.steps
    if asked.facets:
        answer["facets"] = service.facets(caller, name)
    return json_bytes(answer)


def _reranker(service: Service, named: str | None) -> Any:
    """What a request may name: nothing is loaded because somebody asks for it.

    Raises:
        BadInput: it names another one.
    """
    if named is None:
        return SERVING_RERANKER
    allowed = ("", BUNDLED_RERANKER, TOKENS_RERANKER, *service.settings.rerankers)
    if named not in allowed:
        raise BadInput(
            f"reranker {named!r} is not one that this service uses; those are {', '.join(allowed[1:])}:"
            " whoever runs it lists others in STLIB_RERANKERS"
        )
    return named
