"""Words and weights as Elasticsearch and OpenSearch keep them: fields of the type ``rank_features``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

from stlib.sparse_encoder.search_engines.shared import Hits, Words, batches

FIELD = "tokens"
MAPPINGS = {"properties": {FIELD: {"type": "rank_features"}, "id": {"type": "keyword"}}}

# A dot in a name would be read as a path of fields; this letter looks like one and is in no vocabulary.
_DOT = "\N{ONE DOT LEADER}"


def features_of(words: list[tuple[str, float]]) -> dict[str, float]:
    """Weights by name; the engines take positive numbers only."""
    return {str(word).replace(".", _DOT): float(weight) for word, weight in words if weight > 0}


def new_name() -> str:
    """A name for an index."""
    return f"sparse_index_{uuid4().hex}"


def send_documents(corpus: Words, name: str, bulk: Callable[[Any], Any]) -> None:
    """Hand all documents over by the ``bulk`` helper of a client."""
    for places in batches(len(corpus)):
        bulk(_actions(corpus, name, places))


def _actions(corpus: Words, name: str, places: range) -> Iterator[dict[str, Any]]:
    for place in places:
        source = {"id": str(place), FIELD: features_of(corpus[place])}
        yield {"_index": name, "_id": str(place), "_source": source}


def hits_of(answer: Any) -> Hits:
    """Results in an answer of the search API."""
    return [{"corpus_id": int(hit["_id"]), "score": hit["_score"]} for hit in answer["hits"]["hits"]]
