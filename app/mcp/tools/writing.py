"""Tools that change something; they are there where the server was told so, for those who have the right."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from app.mcp.limits import MOST_ADDED, MOST_DELETED
from app.mcp.tools.base import Answer, Arguments, Tool

__all__ = [
    "ADD_DOCUMENTS",
    "DELETE_DOCUMENTS",
    "JUDGE_ANSWER",
    "AddArguments",
    "Added",
    "DeleteArguments",
    "Deleted",
    "Failed",
    "JudgeArguments",
    "Judged",
]

_COLLECTION = Field(description="Name of a collection, as list_collections gives it.")
_LONGEST_TEXT = 1_000_000


class NewDocument(Arguments):
    id: str = Field(min_length=1, description="Of your own; a document that has it already is replaced.")
    text: str = Field(max_length=_LONGEST_TEXT)
    title: str = Field(default="", description="Put before each passage when it is searched.")
    metadata: dict[str, Any] = Field(default_factory=dict, description="Fields that filters can use.")


class AddArguments(Arguments):
    collection: str = _COLLECTION
    documents: list[NewDocument] = Field(min_length=1, max_length=MOST_ADDED)


class Failed(Answer):
    number: int = Field(description="Of the document in the call, from 1.")
    reason: str


class Added(Answer):
    added: int
    updated: int
    unchanged: int
    failed: list[Failed]


class DeleteArguments(Arguments):
    collection: str = _COLLECTION
    ids: list[str] = Field(min_length=1, max_length=MOST_DELETED)


class Deleted(Answer):
    deleted: list[str]
    missing: list[str] = Field(description="Ids that there were no documents of.")


class JudgeArguments(Arguments):
    collection: str = _COLLECTION
    query: str = Field(min_length=1, description="The question, as it was asked.")
    document: str = Field(default="", description="Id of the document; empty for the verdict none.")
    verdict: Literal["up", "down", "answer", "grade", "none", "undo"] = Field(
        description="up: of use; down: not; answer: this is the right one; grade: see grade; none: no"
        " document of that answer; undo: takes back what you said of this document."
    )
    grade: int | None = Field(default=None, ge=0, le=3, description="For the verdict grade: 3 answers best.")
    impression: str = Field(default="", description="Of the answer that search_collection gave.")


class Judged(Answer):
    document: str
    verdict: str
    grade: int


ADD_DOCUMENTS = Tool(
    "add_documents",
    "Add or replace documents",
    "Stores documents in a collection, at once and for good; one whose id is there already is replaced. Those"
    " that cannot be stored are named with the reason, the others are stored.",
    AddArguments,
    Added,
    "app.mcp.running.writing:add",
    right="write",
    reads=False,
    destroys=True,
)
DELETE_DOCUMENTS = Tool(
    "delete_documents",
    "Delete documents",
    "Deletes documents of a collection by their ids. There is no way back.",
    DeleteArguments,
    Deleted,
    "app.mcp.running.writing:delete",
    right="write",
    reads=False,
    destroys=True,
)
JUDGE_ANSWER = Tool(
    "judge_answer",
    "Judge an answer",
    "Records whether a document answers a question; collections learn from that.",
    JudgeArguments,
    Judged,
    "app.mcp.running.writing:judge",
    right="judge",
    reads=False,
)
