"""The answer to a connection that is one too many, before anything is read of it."""

from __future__ import annotations

import socket

__all__ = ["turn_away"]

_BODY = b'{"error":{"type":"busy","message":"too many connections: try again"},"request_id":""}'
_ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"retry-after: 1\r\ncontent-length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)


def turn_away(connection: socket.socket) -> None:
    """Say so, as far as that can be said at once; whoever has the socket closes it."""
    try:
        connection.setblocking(False)
        connection.send(_ANSWER)
    except OSError:
        return
