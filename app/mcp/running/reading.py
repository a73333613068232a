"""Tools that read: see `app.mcp.tools.reading`."""

from __future__ import annotations

from itertools import islice
from typing import Any

from app.facade.asking import ask
from app.facade.caller import require
from app.mcp.addresses import Address, citation
from app.mcp.asked import Asked
from app.mcp.limits import (
    MOST_FIELDS,
    MOST_LISTED,
    MOST_TEXT,
    MOST_TITLE,
    MOST_VALUES,
    bounded_metadata,
    bounded_text,
)
from app.mcp.tools.reading import (
    Collection_,
    CollectionsAnswer,
    DescribeArguments,
    Description,
    DocumentsAnswer,
    GetDocumentsArguments,
    ListCollectionsArguments,
    ListDocumentsArguments,
    ListedAnswer,
    ListedDocument,
    MetadataField,
    SearchCollectionAnswer,
    SearchCollectionArguments,
    SearchedResult,
    StoredText,
    Value,
)
from indexing.errors import BadInput
from indexing.names import SERVING_RERANKER

__all__ = ["describe", "get_documents", "list_collections", "list_documents", "search_collection"]

_LONGEST_SNIPPET = 2_000
_LONGEST_VALUE = 200
_RERANK_MS = 1500.0  # an agent waits no longer for a better order than a person does


def list_collections(asked: Asked, given: ListCollectionsArguments) -> CollectionsAnswer:
    require(asked.caller, "search")
    listing = asked.listing()
    page = listing.names[given.offset : given.offset + MOST_LISTED]
    end = given.offset + len(page)
    return CollectionsAnswer(
        collections=[Collection_(name=name, documents=asked.count(name)) for name in page],
        unreadable=sorted(listing.damaged)[:MOST_LISTED],
        next_offset=end if end < len(listing.names) else None,
    )


def describe(asked: Asked, given: DescribeArguments) -> Description:
    collection = asked.collection(given.collection)
    require(asked.caller, "search", collection.name)
    info = collection.info()
    counts = sorted(collection.facets(max_values=MOST_VALUES).items(), key=lambda one: -one[1].documents)
    return Description(
        name=info.name,
        documents=info.documents,
        passages=info.chunks,
        model=info.model,
        modes=list(collection.modes),
        rerankers=list(collection.rerankers),
        fields=[
            MetadataField(
                name=name,
                documents=field.documents,
                distinct=field.distinct,
                values=[Value(value=_short(value), documents=count) for value, count in field.values],
            )
            for name, field in counts[:MOST_FIELDS]
        ],
    )


def _short(value: Any) -> Any:
    return bounded_text(value, _LONGEST_VALUE) if isinstance(value, str) else value


def search_collection(asked: Asked, given: SearchCollectionArguments) -> SearchCollectionAnswer:
    collection = asked.collection(given.collection)
    if given.rerank and given.rerank not in collection.rerankers:
        raise _unknown_reranker(given.rerank, collection.rerankers)
    found = ask(
        asked.caller,
        asked.location,
        collection,
        given.query,
        given.k,
        offset=given.offset,
        seq=given.seq,
        mode=given.mode,
        filter=given.filter or None,
        rerank=SERVING_RERANKER if given.rerank is None else given.rerank,
        rerank_budget_ms=_RERANK_MS,
    )
    return SearchCollectionAnswer(
        results=[_result(collection.name, one) for one in found],
        impression=found.id,
        seq=found.seq,
        next_offset=given.offset + len(found) if len(found) == given.k else None,
        weak=found.weak,
        notes=found.notes,
    )


def _unknown_reranker(name: str, known: tuple[str, ...]) -> Exception:
    """A model is never loaded because a request names it."""
    return BadInput(f"rerank {name[:64]!r}: use one of {', '.join(known)}, or leave it away")


def _result(collection: str, one: Any) -> SearchedResult:
    address = Address(collection, one.id)
    return SearchedResult(
        id=one.id,
        fetch_id=address.id,
        title=bounded_text(one.title, MOST_TITLE),
        score=one.score,
        snippet=bounded_text(one.snippet.text, _LONGEST_SNIPPET),
        url=citation(address, one.metadata),
        metadata=bounded_metadata(one.metadata),
        page=one.place.page,
        line=one.place.line,
        headings=[bounded_text(heading, MOST_TITLE) for heading in one.place.headings[:8]],
    )


def get_documents(asked: Asked, given: GetDocumentsArguments) -> DocumentsAnswer:
    collection = asked.collection(given.collection)
    require(asked.caller, "search", collection.name)
    ids = list(dict.fromkeys(given.ids))
    found = collection.get(ids)
    longest = min(given.most_characters, 4 * MOST_TEXT // max(1, len(found)))
    return DocumentsAnswer(
        documents=[
            StoredText(
                id=one.id,
                title=bounded_text(one.title, MOST_TITLE),
                text=one.text[:longest],
                characters=len(one.text),
                url=citation(Address(collection.name, one.id), one.metadata),
                metadata=bounded_metadata(one.metadata),
            )
            for one in (found[id_] for id_ in ids if id_ in found)
        ],
        missing=[id_ for id_ in ids if id_ not in found],
    )


def list_documents(asked: Asked, given: ListDocumentsArguments) -> ListedAnswer:
    collection = asked.collection(given.collection)
    require(asked.caller, "search", collection.name)
    filter = given.filter or None
    page = list(islice(collection.documents(filter, after=given.after, batch=given.limit), given.limit))
    return ListedAnswer(
        documents=[
            ListedDocument(
                id=one.id,
                title=bounded_text(one.title, MOST_TITLE),
                characters=len(one.text),
                metadata=bounded_metadata(one.metadata),
            )
            for one in page
        ],
        matching=collection.count(filter),
        next_after=page[-1].id if len(page) == given.limit else None,
    )
