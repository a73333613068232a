"""Errors as answers: `{"error": {"type", "message"}, "request_id"}` and the status that fits.

400  BadInput, FilterError (with its position)      401  BadKey
403  NotAllowed                                     404  UnknownCollection, NotFound
409  LockedError, CollectionExists, ModelMismatch, UntrustedModel, GateNotPassed, AnotherIsLive,
     UnconfirmedSource
408, 413, 431  too slow, too much                   422  a request of another shape than the description's
429  too many requests                              503  Busy, RerankingFailed, ConnectionLost,
     MilvusFailed: try again, unless it is an `outcome_unknown`: a change that was perhaps done
500  StorageError, CorruptView, and what nobody expected: the log says more under the request id
507  DiskFull
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.api.exchange import has_begun
from app.errors import NotFound
from app.facade.caller import NotAllowed
from app.facade.keys import BadKey
from indexing.errors import (
    AnotherIsLive,
    BadInput,
    CollectionExists,
    ConnectionLost,
    DiskFull,
    FilterError,
    GateNotPassed,
    IndexingError,
    LockedError,
    MilvusFailed,
    MilvusUnavailable,
    ModelMismatch,
    RerankingFailed,
    UnconfirmedSource,
    UnknownCollection,
    UntrustedModel,
)
from stlib.runtime.errors import ModelError

__all__ = [
    "ERROR_ANSWERS",
    "ERROR_SCHEMA",
    "Busy",
    "NotFound",
    "add_error_handlers",
    "answer_http",
    "answer_known",
    "error_response",
    "json_bytes",
    "json_response",
]

logger = logging.getLogger(__name__)


class Busy(IndexingError):
    """More is asked at this moment than the service bears; the same request succeeds later."""


# The first that fits; what is not here is 500, and its message may name files of this machine.
_STATUS: dict[type[Exception], int] = {
    BadKey: 401,
    NotAllowed: 403,
    NotFound: 404,
    UnknownCollection: 404,
    CollectionExists: 409,
    LockedError: 409,
    ModelMismatch: 409,
    UntrustedModel: 409,
    AnotherIsLive: 409,
    GateNotPassed: 409,
    UnconfirmedSource: 409,
    Busy: 503,
    RerankingFailed: 503,
    ConnectionLost: 503,
    MilvusFailed: 503,
    DiskFull: 507,
    FilterError: 400,
    BadInput: 400,
}
# Messages that would tell what else there is, or where.
_INSTEAD: dict[type[Exception], str] = {
    UnknownCollection: "there is no such collection",
    CollectionExists: "there is a collection of this name already",
    LockedError: "another process is writing here for long: try again",
    ConnectionLost: "the database of the service cannot be reached: try again",
    MilvusFailed: "the vectors of the service cannot be reached: try again, or search by keyword",
    DiskFull: "no space is left on the disk of the service; what was acknowledged is kept",
}
_UNKNOWN = (
    "the connection to the database of the service was lost in the midst of a change, which was done whole or"
    " not at all: look before you ask again"
)
_TYPES = {400: "bad_input", 401: "bad_key", 403: "not_allowed", 404: "not_found", 405: "method_not_allowed"}
_TYPES |= {408: "too_slow", 413: "too_large", 415: "unsupported_media_type", 422: "invalid_request"}
_TYPES |= {429: "too_many_requests", 431: "too_large", 500: "internal_error", 503: "busy", 507: "disk_full"}
_INTERNAL = "the service failed; its log says more under this request id"
_MOST_DETAILS = 20

ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["error", "request_id"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
        },
        "request_id": {"type": "string"},
    },
}
_SAID = {
    400: "Something that was asked makes no sense.",
    401: "No key, or one that opens nothing.",
    403: "The key does not allow this.",
    404: "There is none.",
    408: "The request came too slowly.",
    409: "Another process is writing, or what is there does not allow this.",
    413: "The request is too large.",
    415: "The body is compressed, or of another kind.",
    421: "The service is not called by this name.",
    422: "The request has another shape.",
    429: "Too many requests.",
    431: "The head of the request is too large.",
    500: "The service failed.",
    503: "Try again.",
    507: "The disk is full.",
}
ERROR_ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {"description": said, "content": {"application/json": {"schema": ERROR_SCHEMA}}}
    for status, said in _SAID.items()
}
"""For `responses=` of routes: every error has one shape."""


def json_bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    )


def json_response(value: Any, status: int = 200) -> Response:
    """`value` as it is, of JSON's own types: nothing looks through it again."""
    return Response(json_bytes(value), status, media_type="application/json")


def error_response(
    status: int,
    message: str,
    request_id: str,
    *,
    type_: str = "",
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """An error as an answer; 409, 429 and 503 say when to come again."""
    error = {"type": type_ or _TYPES.get(status, "error"), "message": message, **more}
    given = dict(headers or {})
    if status == 401:
        given["WWW-Authenticate"] = "Bearer"
    body = json_bytes({"error": error, "request_id": request_id})
    return Response(body, status, given, media_type="application/json")


def add_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(IndexingError, answer_known)
    app.add_exception_handler(ModelError, _answer_model)
    app.add_exception_handler(RequestValidationError, _answer_shape)
    app.add_exception_handler(HTTPException, _answer_http)


async def answer_known(request: Request, error: Exception, **more: Any) -> Response:
    """The answer to one of our errors; `more` is said with it."""
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
    if status == 500:
        logger.error("request %s: %s", _id(request), error)
        return error_response(500, _INTERNAL, _id(request), **more)
    if isinstance(error, ConnectionLost) and has_begun():
        return error_response(503, _UNKNOWN, _id(request), type_="outcome_unknown", **more)
    if isinstance(error, MilvusFailed):
        logger.warning("request %s: %s", _id(request), error)
    message = next((said for kind, said in _INSTEAD.items() if isinstance(error, kind)), str(error))
    more |= {"position": error.position} if isinstance(error, FilterError) else {}
    headers = (
        {"Retry-After": "1"}
        if isinstance(error, LockedError | Busy | ConnectionLost | MilvusFailed)
        else None
    )
    return error_response(status, message, _id(request), type_=_type_of(error), headers=headers, **more)


async def _answer_model(request: Request, error: Exception) -> Response:
    logger.error("request %s: a model failed: %s", _id(request), error)
    return error_response(500, _INTERNAL, _id(request), type_="model_error")


async def _answer_shape(request: Request, error: Exception) -> Response:
    """What was sent is not repeated: it may be long, and it is known."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    details = [
        {
            "where": ".".join(map(str, one["loc"]))[:200],
            "what": str(one["msg"]).removeprefix("Value error, ")[:300],
        }
        for one in found[:_MOST_DETAILS]
    ]
    first = details[0] if details else {"where": "body", "what": "cannot be read"}
    message = f"{first['where']}: {first['what']}"
    return error_response(422, message, _id(request), details=details)


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return answer_http(request, error)


def answer_http(request: Request, error: HTTPException, **more: Any) -> Response:
    """The answer to what a framework, or the limits of a body, raise; `more` is said with it."""
    return error_response(error.status_code, str(error.detail), _id(request), headers=error.headers, **more)


def _id(request: Request) -> str:
    return str(getattr(request.state, "request_id", ""))


def _type_of(error: Exception) -> str:
    kind = (
        MilvusUnavailable if isinstance(error, MilvusFailed) else type(error)
    )  # why it fails is for the log
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()
