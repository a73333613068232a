"""Whether a service answers, as a container or a service manager asks it."""

from __future__ import annotations

import http.client

__all__ = ["is_ready"]

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where it listens, not where we do
_SECONDS = 5


def is_ready(host: str, port: int) -> bool:
    """Whether what listens on `host` says that it has loaded what searches need."""
    connection = http.client.HTTPConnection(_EVERYWHERE.get(host, host), port, timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):  # nobody there, or somebody else
        return False
    finally:
        connection.close()
