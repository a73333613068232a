"""`search` and `fetch`: see `app.mcp.tools.research`."""

from __future__ import annotations

from typing import Any

from app.facade.asking import ask_many
from app.facade.caller import require
from app.mcp.addresses import Address, citation
from app.mcp.asked import Asked
from app.mcp.limits import MOST_COLLECTIONS, MOST_TEXT, MOST_TITLE, bounded_metadata, bounded_text
from app.mcp.tools.research import Document, FetchArguments, Found, SearchAnswer, SearchArguments
from app.text import without_milvus
from indexing.errors import BadInput

__all__ = ["fetch", "search"]

_RESULTS = 10


def search(asked: Asked, given: SearchArguments) -> SearchAnswer:
    names = asked.listing().names
    if not names:
        raise BadInput("there is no collection here that you may read")
    if len(names) > MOST_COLLECTIONS:
        raise BadInput(
            f"there are {len(names)} collections, and search asks {MOST_COLLECTIONS} at most: ask one with"
            " search_collection; list_collections names them"
        )
    collections = [asked.collection(name) for name in names]
    answer = ask_many(asked.caller, asked.location, collections, given.query, _RESULTS)
    if answer.failed and not answer.results:
        raise BadInput("; ".join(f"{name}: {without_milvus(why)}" for name, why in answer.failed.items()))
    results = []
    for name, one in answer.results:
        address = Address(name, one.id)
        title = bounded_text(one.title or one.id, MOST_TITLE)
        results.append(Found(id=address.id, title=title, url=citation(address, one.metadata)))
    return SearchAnswer(results=results)


def fetch(asked: Asked, given: FetchArguments) -> Document:
    address = Address.from_id(given.id)
    collection = asked.collection(address.collection)
    require(asked.caller, "search", collection.name)
    id_ = address.document or ""
    document = collection.get([id_]).get(id_)
    if document is None:
        raise BadInput(
            f"no document {(address.document or '')[:200]!r} in {address.collection!r}: search again"
        )
    end = address.start + MOST_TEXT
    about: dict[str, Any] = {"collection": address.collection, "characters": len(document.text)}
    if address.start:
        about["start"] = address.start
    if end < len(document.text):
        about["next"] = address.at(end).id
    return Document(
        id=address.id,
        title=bounded_text(document.title or document.id, MOST_TITLE),
        text=document.text[address.start : end],
        url=citation(address.at(0), document.metadata),
        metadata={**bounded_metadata(document.metadata), "stlib": about},
    )
