"""A node of LlamaIndex in a collection, and back; which nodes fulfil its filters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llama_index.core.schema import BaseNode, MetadataMode, TextNode
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)
from llama_index.core.vector_stores.utils import (
    build_metadata_filter_fn,
    metadata_dict_to_node,
    node_to_metadata_dict,
)

from indexing.catalog.stored import StoredDocument
from indexing.frameworks.narrowing import compared, one_of
from indexing.search.results import Result

__all__ = ["fulfils", "is_node", "narrowed", "node_of", "node_of_passage", "stored"]

_NODE = "_node_content"
_BLANK = "_stlib_blank"
_NO_TEXT = "(no text)"
_ORDERED = {
    FilterOperator.GT: ">",
    FilterOperator.GTE: ">=",
    FilterOperator.LT: "<",
    FilterOperator.LTE: "<=",
}


def stored(node: BaseNode) -> dict[str, Any]:
    """What `Collection.add` takes; all of the node but its vector."""
    text = node.get_content(metadata_mode=MetadataMode.NONE)
    blank = not text.strip()
    metadata = node_to_metadata_dict(node, remove_text=not blank)
    if blank:
        metadata[_BLANK] = True
    return {"id": node.node_id, "text": _NO_TEXT if blank else text, "metadata": metadata}


def is_node(one: StoredDocument | Result) -> bool:
    """Whether it was stored by `stored`."""
    return isinstance(one.metadata.get(_NODE), str)


def node_of(one: StoredDocument | Result) -> BaseNode:
    """The node as it was stored, without a vector."""
    text = None if one.metadata.get(_BLANK) else one.text
    return metadata_dict_to_node(one.metadata, text=text)


def node_of_passage(result: Result) -> BaseNode:
    """A node for a result of any collection: the passage that matched best, else the whole text."""
    start, end = result.span or (0, len(result.text))
    metadata = {**({"title": result.title} if result.title else {}), **result.metadata}
    return TextNode(
        id_=result.id, text=result.text[start:end], metadata=metadata, start_char_idx=start, end_char_idx=end
    )


def fulfils(metadata: Mapping[str, Any], filters: MetadataFilters | None) -> bool:
    """As in LlamaIndex's simple vector store, which knows no filters inside filters."""
    if filters is None or not filters.filters:
        return True
    found = [
        fulfils(metadata, one)
        if isinstance(one, MetadataFilters)
        else build_metadata_filter_fn(lambda _: metadata, MetadataFilters(filters=[one]))("")
        for one in filters.filters
    ]
    if filters.condition == FilterCondition.OR:
        return any(found)
    return not any(found) if filters.condition == FilterCondition.NOT else all(found)


def narrowed(filters: MetadataFilters | None) -> dict[str, Any] | None:
    """A filter of collections that lets all pass that fulfils `filters`; None where that is everything."""
    if filters is None or not filters.filters:
        return None
    parts = [
        narrowed(one) if isinstance(one, MetadataFilters) else _narrowed_one(one) for one in filters.filters
    ]
    if filters.condition in (None, FilterCondition.AND):
        known = [one for one in parts if one]
        return {"$and": known} if known else None
    return {"$or": parts} if filters.condition == FilterCondition.OR and all(parts) else None


def _narrowed_one(one: MetadataFilter) -> dict[str, Any] | None:
    if one.operator in _ORDERED:
        return compared(one.key, _ORDERED[one.operator], one.value)
    if one.operator == FilterOperator.EQ:
        return one_of(one.key, [one.value])
    if one.operator == FilterOperator.IN and isinstance(one.value, list):
        return one_of(one.key, one.value)
    return None
