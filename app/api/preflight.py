"""What browsers want to hear before a page of a listed origin may ask and read (CORS)."""

from __future__ import annotations

import re

from starlette.responses import Response

from app.api.exchange import Headers

__all__ = ["answer_preflight", "readable_by"]

_SECONDS = 600  # that a browser believes it; as long as most do at all
_NAMES = re.compile(r"[A-Za-z0-9-]{1,64}(\s*,\s*[A-Za-z0-9-]{1,64}){0,31}", re.ASCII)


def readable_by(origin: str) -> list[tuple[bytes, bytes]]:
    """Headers of every answer to a page of this origin, which is listed."""
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", b"X-Request-ID, Retry-After"),
        (b"vary", b"Origin"),
    ]


def answer_preflight(method: str, headers: Headers) -> Response | None:
    """The answer to the question before a request, which browsers ask without a key; None for anything else.
    The key is asked for with the request itself.
    """
    if method != "OPTIONS" or headers.get(b"access-control-request-method") is None:
        return None
    allowed = {
        "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
        "Access-Control-Max-Age": str(_SECONDS),
    }
    wanted = headers.get(b"access-control-request-headers") or ""
    if _NAMES.fullmatch(wanted):
        allowed["Access-Control-Allow-Headers"] = wanted
    if headers.get(b"access-control-request-private-network") == "true":
        allowed["Access-Control-Allow-Private-Network"] = "true"
    return Response(status_code=204, headers=allowed)
