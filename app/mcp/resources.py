"""Documents and collections as resources: listed in pages, read in bounded pieces."""

from __future__ import annotations

import base64
import binascii
import json
from itertools import islice

from mcp_types import (
    ListResourcesResult,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from app.facade.caller import require
from app.mcp.addresses import COLLECTION_TEMPLATE, DOCUMENT_TEMPLATE, Address, collection_uri
from app.mcp.asked import Asked
from app.mcp.limits import MOST_LISTED, MOST_TEXT, MOST_TITLE, bounded_text
from app.mcp.tools import DESCRIBE_COLLECTION
from indexing.errors import BadInput

__all__ = ["TEMPLATES", "complete_collection", "list_resources", "read_resource"]

TEMPLATES = [
    ResourceTemplate(
        name="document",
        title="Document",
        uri_template=DOCUMENT_TEMPLATE,
        description=f"The text of a document; start leaves out so many characters. A piece has {MOST_TEXT:,}"
        " at most, and its _meta says where the next begins.",
        mime_type="text/plain",
    ),
    ResourceTemplate(
        name="collection",
        title="Collection",
        uri_template=COLLECTION_TEMPLATE,
        description="Counts, model, modes of search, and metadata fields with their most frequent values.",
        mime_type="application/json",
    ),
]
_MOST_COMPLETIONS = 100  # what the protocol allows


def list_resources(asked: Asked, cursor: str | None) -> ListResourcesResult:
    """A page: first the collections, then their documents in the order of names and ids.

    Raises:
        BadInput: a cursor that is none of a page before.
    """
    require(asked.caller, "search")
    names = asked.listing().names
    if cursor is None:
        begun = [
            Resource(uri=collection_uri(name), name=name, title=name, mime_type="application/json")
            for name in names[:MOST_LISTED]
        ]
        place, after = "", None
    else:
        begun = []
        place, after = _read_cursor(cursor)
    resources = begun
    for name in names:
        if name < place:
            continue
        room = MOST_LISTED - len(resources)
        if room <= 0:
            return ListResourcesResult(resources=resources, next_cursor=_cursor(name, None))
        page = _documents(asked, name, after if name == place else None, room)
        resources += [one for _, one in page]
        if len(page) == room:
            return ListResourcesResult(resources=resources, next_cursor=_cursor(name, page[-1][0]))
    return ListResourcesResult(resources=resources)


def _documents(asked: Asked, name: str, after: str | None, most: int) -> list[tuple[str, Resource]]:
    found = asked.collection(name).documents(after=after, batch=most)
    return [
        (
            one.id,
            Resource(
                uri=Address(name, one.id).uri,
                name=bounded_text(one.id, MOST_TITLE),
                title=bounded_text(one.title or one.id, MOST_TITLE),
                mime_type="text/plain",
                size=len(one.text.encode()),
            ),
        )
        for one in islice(found, most)
    ]


def _cursor(name: str, after: str | None) -> str:
    return base64.urlsafe_b64encode(json.dumps([name, after]).encode()).decode()


def _read_cursor(cursor: str) -> tuple[str, str | None]:
    try:
        name, after = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise BadInput("this cursor is none of a page before: list from the beginning") from error
    if not isinstance(name, str) or not (after is None or isinstance(after, str)):
        raise BadInput("this cursor is none of a page before: list from the beginning")
    return name, after


def read_resource(asked: Asked, uri: str) -> ReadResourceResult:
    """
    Raises:
        BadInput: no URI of a resource, or there is no such document.
        UnknownCollection: there is no such collection for this caller.
    """
    address = Address.from_uri(uri)
    if address.document is None:
        said = DESCRIBE_COLLECTION.call(asked, {"collection": address.collection})
        text = json.dumps(said.model_dump(mode="json"), ensure_ascii=False)
        return ReadResourceResult(
            contents=[TextResourceContents(uri=uri, mime_type="application/json", text=text)]
        )
    collection = asked.collection(address.collection)
    require(asked.caller, "search", collection.name)
    document = collection.get([address.document]).get(address.document)
    if document is None:
        raise BadInput(
            f"no document {address.document[:200]!r} in {address.collection!r}: list or search again"
        )
    end = address.start + MOST_TEXT
    more = {"stlib/next": address.at(end).uri} if end < len(document.text) else {}
    contents = TextResourceContents(
        uri=uri,
        mime_type="text/plain",
        text=document.text[address.start : end],
        _meta={"stlib/characters": len(document.text), **more},
    )
    return ReadResourceResult(contents=[contents])


def complete_collection(asked: Asked, begun: str) -> list[str]:
    """Names of collections that begin so."""
    require(asked.caller, "search")
    return [name for name in asked.listing().names if name.startswith(begun)][:_MOST_COMPLETIONS]
