"""Tools that change something: see `app.mcp.tools.writing`."""

from __future__ import annotations

from app.facade.documents import add_documents, delete_documents
from app.facade.feedback import record
from app.mcp.asked import Asked
from app.mcp.tools.writing import (
    AddArguments,
    Added,
    DeleteArguments,
    Deleted,
    Failed,
    JudgeArguments,
    Judged,
)

__all__ = ["add", "delete", "judge"]


def add(asked: Asked, given: AddArguments) -> Added:
    collection = asked.collection(given.collection)
    report = add_documents(asked.caller, collection, [one.model_dump() for one in given.documents])
    return Added(
        added=report.added,
        updated=report.updated,
        unchanged=report.unchanged,
        failed=[Failed(number=one.line, reason=one.reason) for one in report.failures],
    )


def delete(asked: Asked, given: DeleteArguments) -> Deleted:
    gone = set(delete_documents(asked.caller, asked.collection(given.collection), given.ids))
    ids = list(dict.fromkeys(given.ids))
    return Deleted(
        deleted=[id_ for id_ in ids if id_ in gone], missing=[id_ for id_ in ids if id_ not in gone]
    )


def judge(asked: Asked, given: JudgeArguments) -> Judged:
    said = record(
        asked.caller,
        asked.location,
        asked.collection(given.collection),
        given.query,
        given.document,
        given.verdict,
        given.grade,
        given.impression,
    )
    return Judged(document=said.document, verdict=said.kind, grade=said.grade)
