"""Tools that read, with all that a collection can: filters, modes, pages, counts of values."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from app.mcp.limits import MOST_LISTED, MOST_READ, MOST_RESULTS, MOST_TEXT
from app.mcp.tools.base import Answer, Arguments, Tool
from indexing.names import DEFAULT_RESULTS

__all__ = [
    "DESCRIBE_COLLECTION",
    "GET_DOCUMENTS",
    "LIST_COLLECTIONS",
    "LIST_DOCUMENTS",
    "SEARCH_COLLECTION",
    "Collection_",
    "CollectionsAnswer",
    "DescribeArguments",
    "Description",
    "DocumentsAnswer",
    "GetDocumentsArguments",
    "ListCollectionsArguments",
    "ListDocumentsArguments",
    "ListedAnswer",
    "ListedDocument",
    "MetadataField",
    "SearchCollectionAnswer",
    "SearchCollectionArguments",
    "SearchedResult",
    "StoredText",
    "Value",
]

Mode = Literal["hybrid", "semantic", "keyword", "sparse"]

_COLLECTION = Field(description="Name of a collection, as list_collections gives it.")
_FILTER = Field(
    default="",
    description="Condition on metadata, such as: year >= 2020 and lang in ('de', 'fr') and not draft = true."
    " Operators: = != < <= > >= in, not in, like 'a%', between … and …, has (for lists), exists."
    " describe_collection names the fields.",
)


# --- collections ----------------------------------------------------------------------------------------


class ListCollectionsArguments(Arguments):
    offset: int = Field(default=0, ge=0, description="Leave out so many.")


class Collection_(Answer):
    name: str
    documents: int


class CollectionsAnswer(Answer):
    collections: list[Collection_]
    unreadable: list[str] = Field(description="Names of those that are damaged.")
    next_offset: int | None = Field(description="Give it as offset for more; null where these were the last.")


class DescribeArguments(Arguments):
    collection: str = _COLLECTION


class Value(Answer):
    value: str | int | float | bool
    documents: int


class MetadataField(Answer):
    name: str
    documents: int = Field(description="How many have it.")
    distinct: int = Field(description="How many values it has.")
    values: list[Value] = Field(description="The most frequent ones.")


class Description(Answer):
    name: str
    documents: int
    passages: int
    model: str
    modes: list[str] = Field(description="What search_collection takes as mode.")
    rerankers: list[str] = Field(description="What search_collection takes as rerank.")
    fields: list[MetadataField] = Field(description="Metadata that filters can use.")


# --- searching ------------------------------------------------------------------------------------------


class SearchCollectionArguments(Arguments):
    collection: str = _COLLECTION
    query: str = Field(min_length=1, description="A question or some words.")
    k: int = Field(default=DEFAULT_RESULTS, ge=1, le=MOST_RESULTS, description="How many results.")
    offset: int = Field(
        default=0, ge=0, le=10_000, description="Leave out so many better ones: for a next page."
    )
    seq: int | None = Field(default=None, ge=0, description="Of the page before, so that none comes twice.")
    mode: Mode = Field(
        default="hybrid",
        description="hybrid: by meaning and words; semantic: by meaning; keyword: by words; sparse: by"
        " weighted terms, where describe_collection lists it.",
    )
    filter: str = _FILTER
    rerank: str | None = Field(
        default=None,
        description="Re-order the best with this reranker of describe_collection; null leaves it to the"
        " collection, an empty text switches it off.",
    )


class SearchedResult(Answer):
    id: str = Field(description="Of the document in this collection, for get_documents and judge_answer.")
    fetch_id: str = Field(description="What fetch takes.")
    title: str
    score: float = Field(description="Higher is better; compares within one answer only.")
    snippet: str = Field(description="The passage that answers best.")
    url: str
    metadata: dict[str, Any]
    page: int | None = Field(description="Of the file, where it is known.")
    line: int | None
    headings: list[str] = Field(description="Above the passage, the outermost first.")


class SearchCollectionAnswer(Answer):
    results: list[SearchedResult]
    impression: str = Field(description="Names this answer, for judge_answer.")
    seq: int = Field(description="Give it back for the next page.")
    next_offset: int | None = Field(description="Give it as offset for more; null where these were the last.")
    weak: str | None = Field(description="Why none of these may be an answer, where something says so.")
    notes: list[str]


# --- documents ------------------------------------------------------------------------------------------


class GetDocumentsArguments(Arguments):
    collection: str = _COLLECTION
    ids: list[str] = Field(min_length=1, max_length=MOST_READ, description="Of documents in this collection.")
    most_characters: int = Field(
        default=10_000, ge=1, le=MOST_TEXT, description="Of the text of each document; fetch reads on."
    )


class StoredText(Answer):
    id: str
    title: str
    text: str
    characters: int = Field(description="Of the whole text.")
    url: str
    metadata: dict[str, Any]


class DocumentsAnswer(Answer):
    documents: list[StoredText]
    missing: list[str] = Field(description="Ids that there are no documents of.")


class ListDocumentsArguments(Arguments):
    collection: str = _COLLECTION
    filter: str = _FILTER
    after: str | None = Field(
        default=None, description="Begin behind this id: the next_after of a page before."
    )
    limit: int = Field(default=50, ge=1, le=MOST_LISTED)


class ListedDocument(Answer):
    id: str
    title: str
    characters: int
    metadata: dict[str, Any]


class ListedAnswer(Answer):
    documents: list[ListedDocument] = Field(description="In the order of their ids.")
    matching: int = Field(description="How many there are in all.")
    next_after: str | None = Field(description="Give it as after for more; null where these were the last.")


LIST_COLLECTIONS = Tool(
    "list_collections",
    "List collections",
    "The collections that can be searched, with their numbers of documents.",
    ListCollectionsArguments,
    CollectionsAnswer,
    "app.mcp.running.reading:list_collections",
)
DESCRIBE_COLLECTION = Tool(
    "describe_collection",
    "Describe a collection",
    "What a collection holds: counts, model, modes of search, and its metadata fields with their most"
    " frequent values, for filters.",
    DescribeArguments,
    Description,
    "app.mcp.running.reading:describe",
)
SEARCH_COLLECTION = Tool(
    "search_collection",
    "Search one collection",
    "Finds documents of one collection, with the passage that answers, its place, metadata and score; takes"
    " filters, pages, modes and a reranker.",
    SearchCollectionArguments,
    SearchCollectionAnswer,
    "app.mcp.running.reading:search_collection",
)
GET_DOCUMENTS = Tool(
    "get_documents",
    "Read documents",
    "The texts and metadata of documents by their ids.",
    GetDocumentsArguments,
    DocumentsAnswer,
    "app.mcp.running.reading:get_documents",
)
LIST_DOCUMENTS = Tool(
    "list_documents",
    "List documents",
    "Documents of a collection in the order of their ids, without their texts, in pages; all, or"
    " those that match a filter.",
    ListDocumentsArguments,
    ListedAnswer,
    "app.mcp.running.reading:list_documents",
)
