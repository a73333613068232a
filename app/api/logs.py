"""One line of JSON for each request, and for what else is said: never a question, a filter or a document."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from typing import IO, Any

__all__ = ["log_as_json", "log_request"]

_requests = logging.getLogger("app.api.requests")


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        said = getattr(record, "said", None)
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            **(said if said is not None else {"logger": record.name, "message": record.getMessage()}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)  # ASCII: no letter of a name can play tricks on a terminal


def log_as_json(stream: IO[str] | None = None) -> None:
    """Everything that this process logs goes to `stream`, by default stderr."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _requests.setLevel(logging.INFO)
    sys.excepthook = _log_failure
    threading.excepthook = lambda given: _log_failure(given.exc_type, given.exc_value, given.exc_traceback)


def _log_failure(*failure: Any) -> None:
    """What nobody caught, as one line too."""
    root = logging.getLogger()
    root.critical("failed", exc_info=failure)


def log_request(
    request_id: str, method: str, path: str, status: int, seconds: float, key: str, size: int
) -> None:
    """`path` is without its question mark and what follows: that holds what people ask."""
    said = {
        "request_id": request_id,
        "method": method,
        "path": path[:300],
        "status": status,
        "ms": round(seconds * 1000, 2),
        "key": key,
        "bytes": size,
    }
    _requests.info("", extra={"said": said})
