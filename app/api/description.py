"""The OpenAPI description of the service: what FastAPI makes of the routes, with what it leaves out."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.errors import ERROR_SCHEMA
from app.api.gate import OPEN_PATHS

__all__ = ["describe"]

_TAGS = {
    "health": "Whether it lives, whether it is ready, and numbers for those who watch it.",
    "collections": "Sets of documents that are searched together.",
    "documents": "What is in a collection.",
    "search": "Questions and answers.",
    "files": "Files that are brought, and folders that are read.",
    "feedback": "What people say of answers, and what is kept of their searches.",
    "judgments": "Judgments of others: to learn from, and to measure with.",
    "servings": "What decides the answers of a collection, and trials of something better.",
    "reports": "What was compared, tested and tuned.",
    "jobs": "Long work in processes of its own.",
    "models": "Vectors and a better order, in the shapes of OpenAI, Cohere and Jina.",
}
_KEY = "key"
_ERROR = "Error"


def describe(app: FastAPI) -> dict[str, Any]:
    """The description, made once and kept."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=[{"name": name, "description": said} for name, said in _TAGS.items()],
        )
        components = made.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        schemas[_ERROR] = ERROR_SCHEMA
        for unused in ("HTTPValidationError", "ValidationError"):  # errors have our own shape
            schemas.pop(unused, None)
        components["securitySchemes"] = {
            _KEY: {"type": "http", "scheme": "bearer", "description": "Made with `stlib keys make NAME`."}
        }
        made["security"] = [{_KEY: []}]
        for path, operations in made["paths"].items():
            for operation in operations.values():
                _tidy(operation, open_to_all=path in OPEN_PATHS)
        app.openapi_schema = made
    return app.openapi_schema


def _tidy(operation: dict[str, Any], *, open_to_all: bool) -> None:
    """Names the shape of errors in place of repeating it."""
    if open_to_all:
        operation["security"] = []
    for status, answer in operation["responses"].items():
        for content in answer.get("content", {}).values():
            if status >= "400" and content.get("schema") == ERROR_SCHEMA:
                content["schema"] = {"$ref": f"#/components/schemas/{_ERROR}"}
