"""How a document is named to a client: by one text for `fetch`, by a URI as a resource.

    notes/guide.md                        document `guide.md` of collection `notes`
    notes@100000/guide.md                 what follows its first 100,000 characters
    stlib://documents/notes/guide.md      the same as URIs, the id percent-encoded
    stlib://documents/notes/guide.md?start=100000
    stlib://collections/notes             what the collection is

A collection's name holds neither a slash nor an at sign, so that ids may hold what they like.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from indexing.errors import BadInput

__all__ = ["COLLECTION_TEMPLATE", "DOCUMENT_TEMPLATE", "Address", "citation", "collection_uri"]

DOCUMENT_TEMPLATE = "stlib://documents/{collection}/{id}{?start}"
COLLECTION_TEMPLATE = "stlib://collections/{collection}"

_ID = re.compile(
    r"(?P<collection>[A-Za-z0-9._-]{1,64})(?:@(?P<start>[0-9]{1,12}))?/(?P<document>.+)", re.DOTALL
)
_URI = re.compile(
    r"stlib://(?:documents/(?P<of>[A-Za-z0-9._-]{1,64})/(?P<document>[^/?#]+)(?:\?start=(?P<start>[0-9]{1,12}))?"
    r"|collections/(?P<collection>[A-Za-z0-9._-]{1,64}))"
)
_LONGEST_LINK = 2_000


@dataclass(frozen=True)
class Address:
    """A document, or a collection where `document` is None; `start` is a character of the document's text."""

    collection: str
    document: str | None = None
    start: int = 0

    @property
    def id(self) -> str:
        """What `fetch` takes."""
        return f"{self.collection}{f'@{self.start}' if self.start else ''}/{self.document}"

    @property
    def uri(self) -> str:
        if self.document is None:
            return collection_uri(self.collection)
        start = f"?start={self.start}" if self.start else ""
        return f"stlib://documents/{self.collection}/{quote(self.document, safe='')}{start}"

    def at(self, start: int) -> Address:
        return replace(self, start=start)

    @classmethod
    def from_id(cls, id_: str) -> Address:
        """
        Raises:
            BadInput: it is none.
        """
        match = _ID.fullmatch(id_)
        if match is None:
            raise BadInput(
                f"id {id_[:200]!r} is none that search returned: give COLLECTION/DOCUMENT as it stood there"
            )
        return cls(match["collection"], match["document"], int(match["start"] or 0))

    @classmethod
    def from_uri(cls, uri: str) -> Address:
        """
        Raises:
            BadInput: it is none.
        """
        match = _URI.fullmatch(uri)
        if match is None:
            raise BadInput(
                f"{uri[:200]!r} is no resource here: use {DOCUMENT_TEMPLATE} or {COLLECTION_TEMPLATE}"
            )
        if match["document"] is None:
            return cls(match["collection"])
        return cls(match["of"], unquote(match["document"]), int(match["start"] or 0))


def collection_uri(name: str) -> str:
    return f"stlib://collections/{name}"


def citation(address: Address, metadata: dict[str, Any]) -> str:
    """What stands for a document in a list of sources: its own address on the web where its metadata have one
    as `url`, else its URI here.
    """
    url = metadata.get("url")
    if not isinstance(url, str) or len(url) > _LONGEST_LINK or any(map(str.isspace, url)):
        return address.uri
    try:
        parts = urlsplit(url)
    except ValueError:
        return address.uri
    return url if parts.scheme in ("http", "https") and parts.netloc else address.uri
