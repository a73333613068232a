"""Numbers of the service for Prometheus: requests, searches by step, jobs, and how far indexes lag behind.

Labels have few values whatever is asked: a route is the pattern of an address, an unknown method "other".
Of several worker processes whichever is asked adds up all of them, see `app.api.telemetry.shared`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.api.telemetry.shared import counts_are_shared

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

    from indexing.search.request import Request
    from indexing.search.results import SearchResults

__all__ = ["METHODS", "UNKNOWN_ROUTE", "Metrics"]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
STEPS = (
    *("open", "filter", "encode", "encode terms", "semantic", "keyword", "sparse", "memory", "rescore"),
    *("fuse", "fetch", "load reranker", "rerank", "snippets"),
)
"""Of a search, see `SearchResults.steps`; another one is "other"."""
UNKNOWN_ROUTE = "unknown"

_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_STEP_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5)


class Metrics:
    """The numbers of one process, and of all where several count together. Threads may share it."""

    def __init__(self) -> None:
        from prometheus_client import (
            CollectorRegistry,
            Counter,
            Gauge,
            Histogram,
            disable_created_metrics,
        )

        disable_created_metrics()  # a time for each series, which twice as many numbers would tell

        self._registry = CollectorRegistry()
        given: dict[str, Any] = {"registry": self._registry, "namespace": "stlib"}
        self._requests = Counter(
            "http_requests", "Requests that were answered.", ("method", "route", "status"), **given
        )
        self._request_seconds = Histogram(
            "http_request_seconds",
            "Until a request was answered.",
            ("method", "route"),
            buckets=_REQUEST_SECONDS,
            **given,
        )
        self._in_flight = Gauge(
            "http_requests_in_flight",
            "Requests that are being answered now.",
            multiprocess_mode="livesum",
            **given,
        )
        self._searches = Counter("searches", "Searches, by mode and outcome.", ("mode", "outcome"), **given)
        self._search_seconds = Histogram(
            "search_seconds", "Until a search had its answer.", ("mode",), buckets=_REQUEST_SECONDS, **given
        )
        self._step_seconds = Histogram(
            "search_step_seconds",
            "Time of a search by steps: its legs, fusing, rescoring, reranking and others.",
            ("step",),
            buckets=_STEP_SECONDS,
            **given,
        )
        self._embedded = Counter("embedded_texts", "Texts that were embedded for others.", **given)
        self._tokens = Counter("embedded_tokens", "Tokens of these texts.", **given)
        self._reranked = Counter("reranked_documents", "Documents that were reranked for others.", **given)
        self._steps = {step: self._step_seconds.labels(step) for step in (*STEPS, "other")}

    def begin_request(self) -> None:
        self._in_flight.inc()

    def end_request(self) -> None:
        self._in_flight.dec()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered with `status`; 0 where the client went away first."""
        method = method if method in METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(method, route).observe(seconds)

    def embedded(self, texts: int, tokens: int) -> None:
        self._embedded.inc(texts)
        self._tokens.inc(tokens)

    def reranked(self, documents: int) -> None:
        self._reranked.inc(documents)

    def watch(self, collection: str, request: Request) -> _SearchMeter:
        """For `indexing.search.watching.watch_searches`."""
        return _SearchMeter(self, request.mode)

    def searched(self, mode: str, seconds: float | None) -> None:
        """A search took so many seconds, or failed where that is None."""
        self._searches.labels(mode, "failed" if seconds is None else "answered").inc()
        if seconds is not None:
            self._search_seconds.labels(mode).observe(seconds)

    def stepped(self, step: str, seconds: float) -> None:
        self._steps.get(step, self._steps["other"]).observe(seconds)

    def show(self, *beside: Collector) -> bytes:
        """All numbers as Prometheus reads them, and those of `beside`, which are looked up now."""
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest, multiprocess

        shown = CollectorRegistry()
        if counts_are_shared():
            multiprocess.MultiProcessCollector(shown)
        else:
            shown.register(self._registry)  # it collects too
            ProcessCollector(registry=shown)
        for one in beside:
            shown.register(one)
        return generate_latest(shown)


class _SearchMeter:
    """Counts one search."""

    def __init__(self, metrics: Metrics, mode: str) -> None:
        self._metrics = metrics
        self._mode = mode

    def step(self, name: str, began: float, ended: float) -> None:
        self._metrics.stepped(name, ended - began)

    def end(self, results: SearchResults | None) -> None:
        self._metrics.searched(self._mode, None if results is None else results.took_ms / 1000)
