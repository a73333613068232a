"""What people say of answers, and what is kept of their searches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain, islice
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import Asking, Held, needs
from app.api.errors import ERROR_ANSWERS, json_response
from app.facade.feedback import (
    Wanted,
    erase,
    feedback_status,
    list_feedback,
    others_said,
    record,
    record_click,
    said_about,
)
from app.facade.labelling import labelling_queue
from app.text import plain_json

__all__ = ["router"]

router = APIRouter(prefix="/v1/collections/{name}/feedback", tags=["feedback"], responses=ERROR_ANSWERS)

_LONGEST_TEXT = 20_000
_LONGEST_ID = 2_000
_MOST_SHOWN = 100

Id = Annotated[str, Field(max_length=_LONGEST_ID)]
Text = Annotated[str, Field(max_length=_LONGEST_TEXT)]
Person = Annotated[str | None, Query(max_length=_LONGEST_ID, description="Whose; a name, or a session.")]
Question = Annotated[str | None, Query(max_length=_LONGEST_TEXT, description="A question as it was asked.")]
Document = Annotated[str | None, Query(max_length=_LONGEST_ID, description="The id of a document.")]


class Said(BaseModel):
    """What a person says of a document as an answer to a question."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"query": "who audits us", "document": "audit.md", "kind": "up"}]},
    )

    query: Text = Field(min_length=1)
    kind: Literal["up", "down", "answer", "grade", "none", "pasted", "undo"] = Field(
        description="`up`: it helps. `down`: it does not. `answer`: this is the right one. `grade`: see"
        " there. `none`: nothing that was shown answers. `pasted`: `document` is the id or the text of an"
        " answer that was found elsewhere. `undo`: takes back what this person said."
    )
    document: Text = Field("", description="Its id; empty for `none`.")
    grade: int | None = Field(
        None, ge=0, le=3, description="Of `grade`: 0 is no answer, 3 the best there is."
    )
    impression: Id = Field("", description="The `id` of the answer it was said of.")
    shown: list[Id] = Field([], max_length=_MOST_SHOWN, description="Of `none` where there is no impression.")


class Clicked(BaseModel):
    """A document of an answer was clicked, or its text opened."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"impression": "0f3c…", "document": "audit.md"}]}
    )

    impression: Id = Field(min_length=1, description="The `id` of the answer.")
    document: Id = Field(min_length=1)
    kind: Literal["click", "open"] = "click"


class Word(BaseModel):
    """The last word of a person on a document, for one question."""

    id: int
    document: str
    kind: str
    grade: int
    at: float = Field(description="Seconds since 1970.")


class Words(BaseModel):
    """What was said of answers to a question: by the caller, and how often by others, by kind."""

    mine: dict[str, Word]
    others: dict[str, dict[str, int]]


@router.post(
    "",
    status_code=201,
    summary="Say whether a document answers",
    operation_id="say",
    dependencies=[needs("judge")],
)
def say(name: str, said: Said, caller: Asking, service: Held) -> Word:
    """It is on the disk when this is answered. The last word of a person on a document counts."""
    kept = record(
        caller,
        service.location,
        service.collection(name),
        said.query,
        said.document,
        said.kind,
        said.grade,
        said.impression,
        said.shown,
    )
    return Word(id=kept.id, document=kept.document, kind=kept.kind, grade=kept.grade, at=kept.at)


@router.post(
    "/clicks",
    status_code=202,
    summary="Note a click",
    operation_id="note_click",
    dependencies=[needs("search")],
)
def note_click(name: str, clicked: Clicked, caller: Asking, service: Held) -> dict[str, bool]:
    """Written a moment later, and as far as searches are recorded at all."""
    record_click(
        caller,
        service.location,
        service.collection(name),
        clicked.impression,
        clicked.document,
        clicked.kind,
    )
    return {"queued": True}


@router.get(
    "/words",
    summary="What was said of answers to a question",
    operation_id="list_words",
    dependencies=[needs("search")],
)
def list_words(
    name: str,
    caller: Asking,
    service: Held,
    query: Annotated[str, Query(min_length=1, max_length=_LONGEST_TEXT, examples=["who audits us"])],
) -> Words:
    collection = service.collection(name)
    mine = said_about(caller, service.location, collection, query)
    return Words(
        mine={
            document: Word(id=one.id, document=document, kind=one.kind, grade=one.grade, at=one.at)
            for document, one in mine.items()
        },
        others=others_said(caller, service.location, collection, query),
    )


@router.get(
    "/status",
    summary="How much feedback is kept",
    operation_id="get_feedback_status",
    dependencies=[needs("search")],
)
def get_feedback_status(name: str, caller: Asking, service: Held) -> dict[str, Any]:
    """Counts, and what of a search is kept for how long."""
    return feedback_status(caller, service.location, service.collection(name)).to_dict()


@router.get(
    "/queue",
    summary="What to judge next",
    operation_id="list_queue",
    dependencies=[needs("judge")],
)
def list_queue(
    name: str, caller: Asking, service: Held, most: Annotated[int, Query(ge=1, le=200)] = 20
) -> Response:
    """Questions and documents whose judgment teaches most, with the reasons."""
    queue = labelling_queue(caller, service.location, service.collection(name), most=most)
    return json_response({"queue": [vars(one) for one in queue]})


@router.get(
    "",
    summary="Read what is kept",
    operation_id="read_feedback",
    dependencies=[needs("manage")],
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
)
def read_feedback(
    name: str,
    caller: Asking,
    service: Held,
    person: Person = None,
    question: Question = None,
    document: Document = None,
) -> StreamingResponse:
    """Searches, clicks, then sayings, one JSON object a line; `what` says which it is."""
    wanted = Wanted(person, question, document)
    found = list_feedback(caller, service.location, service.collection(name), wanted=wanted)
    first = list(islice(found, 1))  # what goes wrong goes wrong here, and has a status of its own
    return StreamingResponse(_lines(chain(first, found)), media_type="application/x-ndjson")


def _lines(found: Iterator[dict[str, Any]]) -> Iterator[str]:
    for one in found:
        yield plain_json(json.dumps(one, ensure_ascii=False)) + "\n"


@router.delete(
    "",
    summary="Erase feedback",
    operation_id="erase_feedback",
    dependencies=[needs("manage")],
)
def erase_feedback(
    name: str,
    caller: Asking,
    service: Held,
    person: Person = None,
    question: Question = None,
    document: Document = None,
) -> Response:
    """What is kept of a person, a question or a document, or of what fulfils all that is given. The answer
    says what was erased, what is pending, and what cannot be reached.
    """
    wanted = Wanted(person, question, document)
    erased = erase(caller, service.location, service.collection(name), wanted)
    return json_response(erased.to_dict())
