"""Milvus Lite: a folder of this machine, served to this process by a thread of its own.

One process at a time has it open. A forked child asks the server of its parent, for as long as that lives.
"""

from __future__ import annotations

import atexit
import os
from pathlib import Path
from typing import Any

from indexing.errors import MilvusUnavailable
from indexing.milvus.wire import load_messages
from stlib.util.forks import ThreadLock

__all__ = ["lite_target", "stop_lite"]

_lock = ThreadLock()
# By path: the process that serves it, the address, and what is to be closed.
_served: dict[str, tuple[int, str, Any, Any]] = {}


def lite_target(path: str) -> str:
    """`host:port` at which `path` is served from now on, by this process or by the one it was forked from.

    Raises:
        MilvusUnavailable: another process has it open, its folder is not there, or the package milvus-lite is
            not installed.
    """
    load_messages()
    with _lock:
        if path not in _served:
            _served[path] = _serve(path)
        return _served[path][1]


def _serve(path: str) -> tuple[int, str, Any, Any]:
    if not Path(path).parent.is_dir():
        raise MilvusUnavailable(
            f"Milvus Lite cannot be opened at {path}: there is no folder {Path(path).parent}"
        )
    try:
        from milvus_lite.adapter.grpc.server import start_server_in_thread
        from milvus_lite.exceptions import DataDirLockedError, MilvusLiteError
    except ModuleNotFoundError as error:
        raise MilvusUnavailable(
            f"Milvus Lite needs the package {error.name}: pip install milvus-lite, or name a server"
        ) from error
    try:
        server, database, port = start_server_in_thread(path, host="127.0.0.1", port=0)
    except DataDirLockedError:
        raise MilvusUnavailable(
            f"Milvus Lite at {path} is open in another process, and takes one: end that one, or run"
            f" `milvus-lite server --host 127.0.0.1 --data-dir {path}` and set STLIB_MILVUS to its address"
        ) from None
    except (MilvusLiteError, OSError, ValueError) as error:
        raise MilvusUnavailable(f"Milvus Lite cannot be opened at {path}: {error}") from error
    return os.getpid(), f"127.0.0.1:{port}", server, database


def stop_lite(path: str | None = None) -> None:
    """Closes the server of `path`, or all of them, if this process has it open."""
    with _lock:
        for served in list(_served) if path is None else [path] if path in _served else []:
            process, _, server, database = _served[served]
            if process == os.getpid():
                del _served[served]
                server.stop(grace=1).wait(5)  # without, gRPC complains of itself on stderr
                database.close()


atexit.register(stop_lite)
