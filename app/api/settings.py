"""Settings of the service, each from a variable of its name: `STLIB_PORT`, `STLIB_WORKERS` and so on."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.settings import LOOPBACK, is_loopback
from indexing.errors import BadInput

__all__ = ["PREFIX", "ServiceSettings", "read_settings"]

PREFIX = "STLIB_"

Names = Annotated[tuple[str, ...], NoDecode]  # in a variable: parted by commas


class ServiceSettings(BaseSettings):
    """How the service listens, and what it bears.

    Attributes:
        keys: `auto` asks for a key unless only this machine can reach the service, no key was ever made, and
            `hosts` is empty: who made keys, or gave it names, lets others in, by a proxy perhaps. `elsewhere`
            asks nobody on this machine, unless a proxy says that it stands between; `required` always.
        hosts: names by which it may be called, beside addresses, `localhost` and, where it listens to this
            machine alone, nothing else; `*` allows any. A page of a stranger that has its own name lead here
            is refused by this.
        origins: of pages that may call it from a browser, such as `https://search.example.com`.
        models: that collections may be made with over HTTP, beside the bundled one.
        rerankers: that a search may name, beside the bundled one and `tokens`.
        mcp: whether agents may come to `/mcp`, to `read` or to `write` too, as far as their key lets them.
        mcp_names: collections that they get; empty for all.
        warm: collections that are opened before the service says it is ready; empty for all, up to twenty.
        workers: processes; each has the models and its threads.
        threads: of a worker that search at a time. Python runs one of them, the scan of vectors goes on
            beside it; more only matter where a slow reranker keeps one busy.
        queue: searches of a worker that wait at most; more are turned away with 503.
        connections: at a time, of all workers. Where all are taken, the one that is idle the longest makes
            room for another.
        address_connections: of one address; 0 for half of all. A proxy in front is one address.
        rate, burst: requests of one key each second, and at once; 0 for no limit. Each worker counts for
            itself.
        body_mib: of one request. 8 MiB are some thousand texts to embed.
        upload_mib: of one stream of documents, of which a batch is held at a time.
        line_mib: of one line of it.
        header_seconds: until the head of a request is there.
        body_seconds: without a byte of its body, and without a byte of the answer taken.
        request_seconds: until it is answered; streams of documents take as long as they send.
        idle_seconds: that a connection is kept without a request; above the minute of most proxies.
        write_seconds: that a change waits for another process that writes to the collection.
        shutdown_seconds: for requests in flight when the service is stopped.
        traces: spans for OpenTelemetry, sent by "otlp" to where its own variables say, or to the "console".
        trace_share: of requests that are traced, beside every one whose caller traces it. A tenth shows where
            time goes; what traces cost is printed by `tests/benchmarks/bench_traces.py`.
        trace_texts: whether questions, and ids and scores of answers, stand in spans. Texts never do.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    host: str = LOOPBACK
    port: int = Field(8800, ge=0, le=65535)
    keys: Literal["auto", "elsewhere", "required"] = "auto"
    hosts: Names = ()
    origins: Names = ()
    models: Names = ()
    rerankers: Names = ()
    mcp: Literal["off", "read", "write"] = "off"
    mcp_names: Names = ()
    warm: Names = ()
    workers: int = Field(default_factory=lambda: min(4, _processors()), ge=1, le=64)
    threads: int = Field(4, ge=1, le=64)
    queue: int = Field(128, ge=1, le=100_000)
    connections: int = Field(512, ge=1, le=100_000)
    address_connections: int = Field(0, ge=0, le=100_000)
    rate: float = Field(100.0, ge=0)
    burst: int = Field(200, ge=1)
    body_mib: float = Field(8.0, gt=0)
    upload_mib: float = Field(4096.0, gt=0)
    line_mib: float = Field(16.0, gt=0)
    header_seconds: float = Field(10.0, gt=0)
    body_seconds: float = Field(30.0, gt=0)
    request_seconds: float = Field(60.0, gt=0)
    idle_seconds: float = Field(75.0, gt=0)
    write_seconds: float = Field(20.0, ge=0)
    shutdown_seconds: float = Field(20.0, gt=0)
    traces: Literal["off", "otlp", "console"] = "off"
    trace_share: float = Field(0.1, ge=0, le=1)
    trace_texts: bool = False

    @field_validator("hosts", "origins", "models", "rerankers", "mcp_names", "warm", mode="before")
    @classmethod
    def _parted(cls, value: Any) -> Any:
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    @property
    def needs_key(self) -> bool:
        """Whether everybody is asked for one, whether any was made or not."""
        return self.keys == "required" or not self.local or (self.keys == "auto" and bool(self.hosts))


def read_settings(**given: Any) -> ServiceSettings:
    """The settings of the environment, and in place of them what is `given` and not None.

    Raises:
        BadInput: a value that cannot be; the message names its variable.
    """
    try:
        return ServiceSettings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        variable = PREFIX + "_".join(map(str, first["loc"][:1])).upper()
        raise BadInput(f"{variable}: {first['msg']}, got {first['input']!r}") from None


def _processors() -> int:
    known = getattr(os, "sched_getaffinity", None)
    return len(known(0)) if known is not None else os.cpu_count() or 1
