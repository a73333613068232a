"""Every tool, in the order in which clients list them."""

from __future__ import annotations

from app.mcp.tools.base import Tool
from app.mcp.tools.reading import (
    DESCRIBE_COLLECTION,
    GET_DOCUMENTS,
    LIST_COLLECTIONS,
    LIST_DOCUMENTS,
    SEARCH_COLLECTION,
)
from app.mcp.tools.research import FETCH, SEARCH
from app.mcp.tools.writing import ADD_DOCUMENTS, DELETE_DOCUMENTS, JUDGE_ANSWER

__all__ = ["TOOLS", "Tool"]

TOOLS: tuple[Tool, ...] = (
    SEARCH,
    FETCH,
    LIST_COLLECTIONS,
    DESCRIBE_COLLECTION,
    SEARCH_COLLECTION,
    GET_DOCUMENTS,
    LIST_DOCUMENTS,
    ADD_DOCUMENTS,
    DELETE_DOCUMENTS,
    JUDGE_ANSWER,
)
