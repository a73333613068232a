"""One channel to Milvus for each process and address, every request over which ends within a bound.

A request has one deadline, whatever is waited for: a name to be resolved, a port to open, an answer. Where
Milvus cannot be reached, or lets a search wait to its end, it is left alone for a while: two seconds first,
twice as long after each failure, thirty at most. Meanwhile every request fails at once with the same error,
so that a search which can do without Milvus is not slowed down by it. After that one request asks whether it
is there again, for a second at most, and the others still go without.
"""

from __future__ import annotations

import base64
import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from indexing.errors import CorruptView, MilvusFailed, MilvusUnavailable
from indexing.milvus.lite import lite_target
from indexing.milvus.settings import ADDRESS_VARIABLE, MilvusSettings
from indexing.milvus.wire import load_messages
from stlib.util.forks import ThreadLock

__all__ = ["Connection", "NoIndex", "NotLoaded", "Refused"]

logger = logging.getLogger(__name__)

FIRST_REST, LONGEST_REST = 2.0, 30.0
"""Seconds for which Milvus is left alone after a failure, and after many."""
_PROBE_SECONDS = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0

# Codes in answers: `code` since 2.3, `error_code` before it and of Milvus Lite.
_NOT_FOUND = {100}
_NOT_FOUND_OLD = {4}
_NOT_LOADED = {101, 106}
_NOT_LOADED_OLD = {101}
_NO_INDEX = {700}
_NO_INDEX_OLD = {25}
_BUSY = {
    *(1, 2, 4, 8),  # not ready, unavailable, too many requests
    103,  # a collection that is being loaded
    *range(500, 600),  # no channel to who has a shard
    *range(900, 1000),  # a node that is gone
}
_BUSY_OLD = {49}  # RateLimit

_OPTIONS = {
    "grpc.max_send_message_length": -1,
    "grpc.max_receive_message_length": -1,
    # One that comes back is found soon; by itself gRPC would wait up to two minutes between attempts.
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.min_reconnect_backoff_ms": 5_000,  # which is how long one attempt may take
    "grpc.max_reconnect_backoff_ms": 2_000,
    # A server that is gone without a word is noticed.
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 5_000,
    "grpc.enable_retries": 0,
}


class NotLoaded(MilvusFailed):
    """The collection is there, and not in memory: it has to be loaded first."""


class Refused(MilvusFailed):
    """Milvus does not do what was asked, and said why."""


class NoIndex(Refused):
    """The collection has none: whoever made it did not come so far."""


class Connection:
    """Sends requests to one Milvus. Threads share it; a forked child makes its own."""

    def __init__(self, settings: MilvusSettings) -> None:
        """Nothing is loaded and nobody is asked yet."""
        self.settings = settings
        self._lock = ThreadLock()
        self._process = 0
        self._channel: Any = None
        self._stub: Any = None
        self._failure, self._failed_at = "", 0.0
        self._rest, self._rest_until = FIRST_REST, 0.0

    # --- requests --------------------------------------------------------------------------------------

    def read(self, method: str, request: Any) -> Any:
        """The answer to what only reads; one that comes too late counts as Milvus being away."""
        try:
            return self._call(method, request, self.settings.seconds, late_is_away=True)
        except _Busy as busy:
            raise MilvusUnavailable(f"{self._name} is too busy ({busy}): try again") from None

    def write(self, method: str, request: Any, *, by: float | None = None) -> Any:
        """The answer to what changes something, and may take longer; it is sent again as long as Milvus says
        that it is too busy. `by`: the time (`time.monotonic`) at which patience ends.
        """
        by = time.monotonic() + self.settings.write_seconds if by is None else by
        pause = _FIRST_PAUSE
        while True:
            try:
                return self._call(method, request, by - time.monotonic(), late_is_away=False)
            except _Busy as busy:
                if time.monotonic() + pause >= by:
                    raise MilvusUnavailable(
                        f"{self._name} is too busy to take what is written ({busy}): try again later"
                    ) from None
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _call(self, method: str, request: Any, seconds: float, *, late_is_away: bool) -> Any:
        """
        Raises:
            MilvusUnavailable: it cannot be reached, or did not answer within `seconds`.
            CorruptView: the collection that is asked is not there.
            NotLoaded: it is not in memory.
            Refused: Milvus does not do it.
        """
        stub = self._ready_stub()
        messages = load_messages()
        try:
            answer = getattr(stub, method)(request, timeout=max(seconds, 0.001), metadata=self._metadata())
        except messages.grpc.RpcError as error:
            raise self._failed(method, error, seconds, late_is_away) from None
        except ValueError:  # the channel was closed by another thread at this moment
            raise MilvusUnavailable(
                f"the connection to {self._name} was closed meanwhile: try again"
            ) from None
        self._succeeded()
        self._check(method, getattr(answer, "status", answer))
        return answer

    def _check(self, method: str, status: Any) -> None:
        code, old = int(status.code), int(status.error_code)
        if not code and not old:
            return
        reason = f"{_line(status.reason)} (code {code or old})"
        if code in _NOT_FOUND or old in _NOT_FOUND_OLD:
            raise CorruptView(f"{self._name} has no such collection any more: {reason}")
        if code in _NOT_LOADED or old in _NOT_LOADED_OLD:
            raise NotLoaded(f"{self._name} has not loaded a collection: {reason}")
        busy = code in _BUSY or old in _BUSY_OLD or status.retriable
        if busy and not self.settings.is_lite:
            raise _Busy(reason)
        refused = NoIndex if code in _NO_INDEX or old in _NO_INDEX_OLD else Refused
        raise refused(f"{self._name} refused {method}: {reason}")

    # --- the channel -----------------------------------------------------------------------------------

    def _ready_stub(self) -> Any:
        """Of a channel of this process; after a rest only when Milvus answers again.

        Raises:
            MilvusUnavailable: it is left alone for the time being.
        """
        with self._lock:
            if self._process != os.getpid():
                self._open()
            stub, probing = self._stub, False
            if self._failure:
                if (left := self._rest_until - time.monotonic()) > 0:
                    raise MilvusUnavailable(f"{self._failure}; it is asked again in {left:.0f} s")
                probing = True
                # Others go on without it until this one knows.
                self._rest_until = time.monotonic() + _PROBE_SECONDS + 1.0
        if probing:
            self._probe(stub)
        return stub

    def _probe(self, stub: Any) -> None:
        messages = load_messages()
        seconds = min(_PROBE_SECONDS, self.settings.seconds)
        try:
            stub.GetVersion(messages.milvus.GetVersionRequest(), timeout=seconds, metadata=self._metadata())
        except messages.grpc.RpcError as error:
            raise self._failed("GetVersion", error, seconds, late_is_away=True) from None

    def _open(self) -> None:
        """In a forked child the parent's channel is left as it is: closing it would tell the server."""
        self._stub = self._channel = None
        self._failure, self._rest, self._rest_until = "", FIRST_REST, 0.0
        grpc = load_messages().grpc
        settings, options = self.settings, dict(_OPTIONS)
        if settings.is_lite:
            options["grpc.enable_http_proxy"] = 0
        given: list[tuple[str, Any]] = list(options.items())
        if settings.is_secure:
            if settings.name:
                given.append(("grpc.ssl_target_name_override", settings.name))
            channel = grpc.secure_channel(settings.target, self._credentials(grpc), options=given)
        else:
            target = lite_target(settings.address) if settings.is_lite else settings.target
            channel = grpc.insecure_channel(target, options=given)
        self._channel, self._stub = channel, load_messages().stubs.MilvusServiceStub(channel)
        self._process = os.getpid()

    def _credentials(self, grpc: Any) -> Any:
        """Without files the certificates that gRPC brings."""
        settings = self.settings
        return grpc.ssl_channel_credentials(
            _read_file(settings.ca), _read_file(settings.key), _read_file(settings.certificate)
        )

    def _metadata(self) -> list[tuple[str, str | bytes]]:
        said: list[tuple[str, str | bytes]] = [("dbname", self.settings.database)]
        if self.settings.token:
            said.append(("authorization", base64.b64encode(self.settings.token.encode())))
        return said

    def close(self) -> None:
        """Lets go of the channel; the next request opens another."""
        with self._lock:
            channel, self._channel = self._channel, None
            mine, self._process = self._process == os.getpid(), 0
        if channel is not None and mine:
            with suppress(Exception):
                channel.close()

    # --- failures --------------------------------------------------------------------------------------

    @property
    def away(self) -> str:
        """Why Milvus is not used, from a failure until it has answered again; empty where it is."""
        with self._lock:
            return self._failure

    @property
    def _name(self) -> str:
        return f"Milvus{' Lite' if self.settings.is_lite else ''} at {self.settings.address}"

    def _succeeded(self) -> None:
        if self._failure:
            with self._lock:
                self._failure, self._rest, self._rest_until = "", FIRST_REST, 0.0
            logger.warning("%s answers again", self._name)

    def _failed(self, method: str, error: Any, seconds: float, late_is_away: bool) -> MilvusFailed:
        codes = load_messages().grpc.StatusCode
        code, details = error.code(), _line(error.details() or "")
        if code == codes.DEADLINE_EXCEEDED:
            said = f"{self._name} did not answer within {seconds:.3g} s"
            if late_is_away:
                self._leave_alone(said)
            variable = f"{ADDRESS_VARIABLE}_{'' if late_is_away else 'WRITE_'}SECONDS"
            return MilvusUnavailable(
                f"{said}: see whether it runs and is not overloaded, or raise {variable}"
            )
        if code == codes.CANCELLED:  # the channel was closed by another thread at this moment
            return MilvusUnavailable(f"the connection to {self._name} was closed meanwhile: try again")
        if code in (codes.UNAUTHENTICATED, codes.PERMISSION_DENIED):
            return MilvusUnavailable(
                f"{self._name} does not let us in ({details}): correct {ADDRESS_VARIABLE}_TOKEN"
            )
        if code == codes.UNIMPLEMENTED:
            return Refused(
                f"{self._name} does not know the request {method}: is this the port of Milvus itself (19530),"
                " and a version from 2.4 on?"
            )
        if code in (codes.RESOURCE_EXHAUSTED, codes.INVALID_ARGUMENT, codes.OUT_OF_RANGE):
            return Refused(f"{self._name} refused {method}: {details}")
        said = f"{self._name} cannot be reached ({details or code.name.lower()})"
        self._leave_alone(said)
        return MilvusUnavailable(
            f"{said}: start it, or correct {ADDRESS_VARIABLE}, or go on without it by the engine 'faiss'"
        )

    def _leave_alone(self, said: str) -> None:
        with self._lock:
            now = time.monotonic()
            if not self._failure:
                self._rest = FIRST_REST
                logger.warning(
                    "%s; it is left alone for %g s, and longer after each failure", said, FIRST_REST
                )
            elif now - self._failed_at >= self._rest:  # not one that was under way at the first failure
                self._rest = min(2 * self._rest, LONGEST_REST)
            self._failure, self._failed_at, self._rest_until = said, now, now + self._rest


class _Busy(Exception):
    """Milvus takes no more at the moment, and said so."""


def _line(text: str) -> str:
    """What a server said, on one line that is not too long."""
    return " ".join(text.split())[:300] or "no reason given"


def _read_file(path: str) -> bytes | None:
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise MilvusUnavailable(f"Milvus: {path} cannot be read: {error.strerror}") from None
