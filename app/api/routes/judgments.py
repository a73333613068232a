"""Judgments of others: those that are learned from, and sets that are only measured with."""

from __future__ import annotations

import io
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import Asking, Held, needs
from app.api.errors import ERROR_ANSWERS, json_response
from app.facade.judgments import MOST_ROWS, add_judgments, export_file, import_file, list_judgments
from app.facade.reports import add_judged_set, delete_judged_set, judged_sets
from app.feedback.exchange import Imported
from app.feedback.formats import Judged

__all__ = ["router"]

router = APIRouter(prefix="/v1/collections/{name}", tags=["judgments"], responses=ERROR_ANSWERS)

Split = Annotated[
    str, Query(max_length=60, pattern=r"^[A-Za-z0-9_-]+$", description="Of a BEIR folder: qrels/SPLIT.tsv.")
]
SetName = Annotated[str, Path(max_length=64, examples=["exam-questions"])]

_CSV = {"text/csv": {"schema": {"type": "string", "examples": ["question,document,grade\nwhy,a.md,3\n"]}}}
_ZIP = {"application/zip": {"schema": {"type": "string", "format": "binary"}}}


class Row(BaseModel):
    """A document, graded for a question: 0 is no answer, and the higher the better."""

    question: str = Field(min_length=1, max_length=20_000, examples=["who audits us"])
    document: str = Field(min_length=1, max_length=2_000, examples=["audit.md"])
    grade: int = Field(ge=-1000, le=1000, examples=[3])


class Rows(BaseModel):
    model_config = ConfigDict(extra="forbid")

    judgments: list[Row] = Field(min_length=1, max_length=MOST_ROWS)
    source: str = Field("api", min_length=1, max_length=200, description="Where they are from, in a word.")


class ImportShown(BaseModel):
    """What an import did: judgments that are new, have another grade than before, and were there; `unknown`
    are documents that the collection has not, whose judgments are kept all the same; `bad` lines could not be
    read, `lost` are ids of judged questions without a text.
    """

    source: str
    questions: int
    added: int
    changed: int
    unchanged: int
    unknown: list[str]
    bad: list[str]
    lost: list[str]

    @classmethod
    def of(cls, imported: Imported) -> ImportShown:
        return cls(**imported.to_dict())


class JudgedSet(BaseModel):
    name: str
    splits: list[str]


@router.get(
    "/judgments",
    summary="Read judgments",
    operation_id="list_judgments",
    dependencies=[needs("manage")],
    responses={200: {"content": {**_CSV, **_ZIP}, "description": "As `format` asks."}},
)
def read_judgments(
    name: str,
    caller: Asking,
    service: Held,
    format: Annotated[
        Literal["json", "csv", "beir", "trec"], Query(description="`beir` and `trec` are zip files.")
    ] = "json",
    split: Split = "train",
) -> Response:
    """What was said of answers, settled: of the last words of all people on a document the middle one."""
    collection = service.collection(name)
    if format == "json":
        rows = list_judgments(caller, service.location, collection)
        return json_response({"judgments": [vars(row) for row in rows]})
    packed = export_file(caller, service.location, collection, format, split=split)
    media, ending = ("text/csv; charset=utf-8", "csv") if format == "csv" else ("application/zip", "zip")
    headers = {"Content-Disposition": f'attachment; filename="judgments.{ending}"'}
    return Response(packed, media_type=media, headers=headers)


@router.post(
    "/judgments",
    summary="Bring judgments",
    operation_id="import_judgments",
    dependencies=[needs("manage")],
)
def bring_judgments(name: str, rows: Rows, caller: Asking, service: Held) -> ImportShown:
    """They are learned from as if somebody had said them here. A second time adds nothing."""
    judged = [Judged(row.question, row.document, row.grade) for row in rows.judgments]
    return ImportShown.of(
        add_judgments(caller, service.location, service.collection(name), judged, rows.source)
    )


@router.post(
    "/judgments/file",
    summary="Bring judgments in a file",
    operation_id="import_judgments_file",
    dependencies=[needs("manage")],
    openapi_extra={"requestBody": {"required": True, "content": {**_CSV, **_ZIP}}},
)
def bring_file(
    name: str,
    content: Annotated[bytes, Body(media_type="application/zip")],
    caller: Asking,
    service: Held,
    format: Annotated[Literal["csv", "beir"], Query(description="`beir` is a zip of such a folder.")] = "csv",
    split: Split = "train",
) -> ImportShown:
    """From a CSV file with the columns question, document and grade, or a zip of a BEIR folder."""
    collection = service.collection(name)
    return ImportShown.of(
        import_file(caller, service.location, collection, io.BytesIO(content), format, split=split)
    )


@router.get(
    "/judged-sets",
    summary="List sets to measure with",
    operation_id="list_judged_sets",
    dependencies=[needs("search")],
)
def list_sets(name: str, caller: Asking, service: Held) -> dict[str, list[JudgedSet]]:
    """Judged questions for evaluations, reports and the guard of the gate; nothing learns from them."""
    found = judged_sets(caller, service.location, service.collection(name))
    return {"judged_sets": [JudgedSet(name=one.name, splits=list(one.splits)) for one in found]}


@router.put(
    "/judged-sets/{set_name}",
    status_code=201,
    summary="Bring a set to measure with",
    operation_id="add_judged_set",
    dependencies=[needs("judge")],
    openapi_extra={"requestBody": {"required": True, "content": _ZIP}},
)
def add_set(
    name: str,
    set_name: SetName,
    content: Annotated[bytes, Body(media_type="application/zip")],
    caller: Asking,
    service: Held,
) -> JudgedSet:
    """A zip of a BEIR folder: queries.jsonl and qrels/*.tsv. One that is there is not replaced."""
    files = [("brought.zip", io.BytesIO(content))]
    kept = add_judged_set(caller, service.location, service.collection(name), set_name, files)
    return JudgedSet(name=kept.name, splits=list(kept.splits))


@router.delete(
    "/judged-sets/{set_name}",
    status_code=204,
    summary="Remove a set to measure with",
    operation_id="delete_judged_set",
    dependencies=[needs("judge")],
)
def delete_set(name: str, set_name: SetName, caller: Asking, service: Held) -> Response:
    delete_judged_set(caller, service.location, service.collection(name), set_name)
    return Response(status_code=204)
