"""`search` and `fetch`, in the shape that ChatGPT and others take connectors in: one text in, JSON out."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.mcp.tools.base import Answer, Arguments, Tool

__all__ = ["FETCH", "SEARCH", "Document", "FetchArguments", "Found", "SearchAnswer", "SearchArguments"]


class SearchArguments(Arguments):
    query: str = Field(min_length=1, description="A question, or some words.")


class Found(Answer):
    id: str = Field(description="What fetch takes.")
    title: str
    url: str


class SearchAnswer(Answer):
    results: list[Found]


class FetchArguments(Arguments):
    id: str = Field(description="As search returned it.", min_length=1)


class Document(Answer):
    id: str
    title: str
    text: str
    url: str
    metadata: dict[str, Any] = Field(
        description="Of the document; under `stlib` its collection, how many characters the whole text has,"
        " and as `next` the id of the piece that follows."
    )


SEARCH = Tool(
    "search",
    "Search documents",
    "Finds documents by meaning and by words, in all collections of this server. Returns the best first; read"
    " them with fetch.",
    SearchArguments,
    SearchAnswer,
    "app.mcp.running.research:search",
)
FETCH = Tool(
    "fetch",
    "Read a document",
    "The text of one document that search found, with its metadata. A long text comes in pieces:"
    " metadata.stlib.next is the id of the next one.",
    FetchArguments,
    Document,
    "app.mcp.running.research:fetch",
)
