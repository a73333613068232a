"""Traces for OpenTelemetry: a span of each request, below it one of the retrieval as the conventions for
generative AI have it, and below that one of each step: legs, rescoring, fusing, reranking and others.

Off unless `STLIB_TRACES` says otherwise. Where to is told by the variables of OpenTelemetry, such as
`OTEL_EXPORTER_OTLP_ENDPOINT`, which its exporter reads itself.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

from indexing.errors import BadInput
from indexing.search.request import Request
from indexing.search.results import SearchResults
from indexing.search.watching import SearchWatch

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Span

__all__ = ["Tracing", "make_provider"]

_SERVICE = "stlib"
_PACKAGES = "opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"  # the extra `traces`
_MOST_DOCUMENTS = 100  # of an answer that are named in a span


def make_provider(kind: str) -> tuple[TracerProvider, SpanProcessor]:
    """What makes spans, and what takes and sends them: by `kind` "otlp" over HTTP, or to the
    "console". Of a request whose caller says whether it traces it, that decides.

    Raises:
        BadInput: OpenTelemetry's SDK, or its exporter, is not installed.
    """
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import (
            BatchSpanProcessor,
            ConsoleSpanExporter,
            SimpleSpanProcessor,
        )
        from opentelemetry.sdk.trace.sampling import DEFAULT_ON

        resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", _SERVICE)})
        provider = TracerProvider(resource=resource, sampler=DEFAULT_ON, shutdown_on_exit=False)
        processor: SpanProcessor
        if kind == "console":
            processor = SimpleSpanProcessor(ConsoleSpanExporter())
        else:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            processor = BatchSpanProcessor(OTLPSpanExporter())
        provider.add_span_processor(processor)
    except ModuleNotFoundError as error:
        raise BadInput(f"traces need packages that are missing: pip install {_PACKAGES}") from error
    return provider, processor


# Whether the request at hand has a span; searches that belong to no request have none.
_traced: ContextVar[bool] = ContextVar("traced", default=False)


class Tracing:
    """Makes the spans of one process, of a `share` of the requests that no caller traces. With `texts` they
    hold questions, and ids and scores of answers; the text of a document is in none.
    """

    def __init__(
        self, provider: TracerProvider, processor: SpanProcessor, share: float, *, texts: bool = False
    ) -> None:
        from opentelemetry import propagate, trace
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        self._provider = provider
        self._processor = processor
        self._ended = partial(
            ReadableSpan, resource=provider.resource, instrumentation_scope=InstrumentationScope(_SERVICE)
        )
        self._trace = trace
        self._extract = propagate.extract
        self._tracer = provider.get_tracer(_SERVICE)
        self._share = share
        self._texts = texts
        # Spans count from 1970, steps from some moment of this machine.
        self._offset = time.time_ns() - time.perf_counter_ns()

    def close(self) -> None:
        """Sends what is left."""
        self._provider.shutdown()

    def wants(self, scope: MutableMapping[str, Any]) -> bool:
        """Whether a request is traced. It is decided before anything is made for it, so that one that is not
        costs nothing.
        """
        if any(name == b"traceparent" for name, _ in scope["headers"]):
            return True
        return random.random() < self._share  # noqa: S311 - a sample

    @contextmanager
    def request(self, scope: MutableMapping[str, Any]) -> Iterator[Span]:
        """The span of a request, below that of its caller."""
        carrier = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in (b"traceparent", b"tracestate", b"baggage")
        }
        attributes = {
            "http.request.method": scope["method"],
            "url.scheme": scope.get("scheme", "http"),
        }
        with self._tracer.start_as_current_span(
            scope["method"],
            self._extract(carrier) if carrier else None,
            self._trace.SpanKind.SERVER,
            attributes,
            record_exception=False,  # a traceback quotes what was asked
        ) as span:
            token = _traced.set(True)
            try:
                yield span
            finally:
                _traced.reset(token)

    def answered(self, span: Span, method: str, route: str, status: int, request_id: str) -> None:
        """What is known of a request when it was answered. A path is not told: it holds ids of documents."""
        if not span.is_recording():
            return
        span.update_name(f"{method} {route}")
        span.set_attributes(
            {"http.route": route, "http.response.status_code": status, "stlib.request_id": request_id}
        )
        if status >= 500 or not status:
            span.set_status(self._trace.StatusCode.ERROR)

    @contextmanager
    def operation(self, name: str, model: str) -> Iterator[Span | None]:
        """The span of an operation with a model, such as "embeddings", in a request that is traced."""
        if not _traced.get():
            yield None
            return
        attributes = {
            "gen_ai.operation.name": name,
            "gen_ai.request.model": model,
            "gen_ai.provider.name": _SERVICE,
        }
        with self._tracer.start_as_current_span(
            f"{name} {model}", attributes=attributes, record_exception=False
        ) as span:
            yield span

    def watch(self, collection: str, request: Request) -> SearchWatch:
        """For `indexing.search.watching.watch_searches`: the span of a search in a request that is traced."""
        if not _traced.get():
            return _UNTRACED
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "retrieval",
            "gen_ai.provider.name": _SERVICE,
            "gen_ai.data_source.id": collection,
            "gen_ai.retrieval.top_k": request.k,
            "stlib.search.mode": request.mode,
            "stlib.search.filtered": request.filter is not None,
        }
        if self._texts:
            attributes["gen_ai.retrieval.query.text"] = request.query
        return _SearchSpan(self, self._tracer.start_span("retrieval", attributes=attributes))

    def finish(
        self, span: Span, steps: Sequence[tuple[str, float, float]], results: SearchResults | None
    ) -> None:
        """Gives the span of a search its steps, and what is told of its answer."""
        # As they are over already, they are handed on as such: to start and end each would take three times
        # as long.
        above = span.get_span_context()
        for name, began, ended in steps:
            number = self._provider.id_generator.generate_span_id()
            own = self._trace.SpanContext(above.trace_id, number, False, above.trace_flags)
            over = self._ended(name, own, above, start_time=self._time(began), end_time=self._time(ended))
            self._processor.on_end(over)
        if results is None:
            span.set_status(self._trace.StatusCode.ERROR)
        else:
            span.set_attributes(_about(results, self._texts))

    def _time(self, moment: float) -> int:
        """A moment of `time.perf_counter` in nanoseconds since 1970."""
        return int(moment * 1e9) + self._offset


class _Untraced:
    """A search of which nothing is told."""

    def step(self, name: str, began: float, ended: float) -> None:
        pass

    def end(self, results: SearchResults | None) -> None:
        pass


_UNTRACED = _Untraced()


class _SearchSpan:
    """The span of one search; spans of its steps are made when it is over, as far as it is recorded."""

    def __init__(self, tracing: Tracing, span: Span) -> None:
        self._tracing = tracing
        self._span = span
        self._steps: list[tuple[str, float, float]] | None = [] if span.is_recording() else None

    def step(self, name: str, began: float, ended: float) -> None:
        if self._steps is None:
            return
        if self._steps and self._steps[-1][0] == name:  # it goes on
            began = self._steps.pop()[1]
        self._steps.append((name, began, ended))

    def end(self, results: SearchResults | None) -> None:
        if self._steps is not None:
            self._tracing.finish(self._span, self._steps, results)
        self._span.end()


def _about(results: SearchResults, texts: bool) -> dict[str, Any]:
    """What is told of an answer; ids and scores only with `texts`, as ids are often names of files."""
    about: dict[str, Any] = {
        "stlib.search.results": len(results),
        "stlib.search.serving": results.serving or 0,
    }
    if results.reranked is not None:
        about["stlib.search.reranked"] = results.reranked
    if texts:
        named = [{"id": one.id, "score": one.score} for one in results[:_MOST_DOCUMENTS]]
        about["gen_ai.retrieval.documents"] = json.dumps(named)
    return about
