"""What one process of the service counts and traces, in one object."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from app.api.telemetry.gauges import StateOfThings
from app.api.telemetry.metrics import UNKNOWN_ROUTE, Metrics
from app.api.telemetry.tracing import Tracing, make_provider
from app.settings import Location
from indexing.search.watching import watch_searches

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from app.facade.models import Embedded, RankedTexts

__all__ = ["Operation", "Telemetry", "route_of"]


class Telemetry:
    """
    Attributes:
        metrics: numbers; tracing: spans, None where nothing is traced.
    """

    content_type = "text/plain; version=1.0.0; charset=utf-8"

    def __init__(
        self, location: Location, traces: str = "off", share: float = 1.0, texts: bool = False
    ) -> None:
        """`traces` is "off", "otlp" or "console", `share` that of requests that are traced, `texts` whether
        questions and ids of answers stand in spans.

        Raises:
            BadInput: traces are wanted, and what makes them is not installed.
        """
        self.metrics = Metrics()
        self.tracing = None if traces == "off" else Tracing(*make_provider(traces), share, texts=texts)
        self._state = StateOfThings(location)
        self._stops: list[Callable[[], None]] = []

    def start(self) -> None:
        """From here on searches of this process are counted and traced."""
        self._stops.append(watch_searches(self.metrics.watch))
        if self.tracing is not None:
            self._stops.append(watch_searches(self.tracing.watch))

    def close(self) -> None:
        """Ends that, and sends what is left of traces."""
        for stop in self._stops:
            stop()
        self._stops.clear()
        if self.tracing is not None:
            self.tracing.close()

    def observe(self, scope: MutableMapping[str, Any], status: int, seconds: float) -> None:
        """A request was answered, or refused."""
        self.metrics.answered(scope["method"], route_of(scope), status, seconds)

    def show(self) -> bytes:
        """All numbers, for Prometheus."""
        return self.metrics.show(self._state)

    @contextmanager
    def operation(self, name: str, model: str) -> Iterator[Operation]:
        """Something that is done with a model for others."""
        if self.tracing is None:
            yield Operation(self.metrics, None)
            return
        with self.tracing.operation(name, model) as span:
            yield Operation(self.metrics, span)


class Operation:
    """Takes what came of it."""

    def __init__(self, metrics: Metrics, span: Span | None) -> None:
        self._metrics = metrics
        self._span = span

    def embedded(self, made: Embedded) -> None:
        count, dimension = made.vectors.shape
        self._metrics.embedded(count, made.tokens)
        self._set({"gen_ai.usage.input_tokens": made.tokens, "gen_ai.embeddings.dimension.count": dimension})

    def reranked(self, documents: int, made: RankedTexts) -> None:
        self._metrics.reranked(documents)
        self._set({"gen_ai.usage.input_tokens": made.tokens, "stlib.rerank.documents": documents})

    def _set(self, attributes: dict[str, int]) -> None:
        if self._span is not None:
            self._span.set_attributes(attributes)


def route_of(scope: MutableMapping[str, Any]) -> str:
    """The pattern of the address that was asked for, of which there are few; "unknown" where it is none."""
    if "route" in scope:
        return str(scope["route"].path)
    if "endpoint" in scope and not scope.get("path_params"):  # one that takes no names, as /openapi.json
        return str(scope["path"])
    return UNKNOWN_ROUTE
