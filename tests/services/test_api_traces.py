"""A trace of each request, as a collector of OpenTelemetry gets it: what hangs below what, and no texts."""

from __future__ import annotations

import gzip
import importlib.util
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.cli.serve import command
from indexing import Collection
from tests.services.api import client_of

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET_TEXT, QUESTION = "The auditors come in the merry month of May.", "when do auditors visit"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("traces") / "home"
    with Collection.create("notes", home=home) as collection:
        collection.add([{"id": "calendar.md", "text": SECRET_TEXT}, {"id": "tea.md", "text": "Tea at four."}])
    return home


class Collector:
    """Takes spans as an exporter sends them over HTTP."""

    def __init__(self):
        self.bytes, self.spans, self.services = b"", [], set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.take(gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)

    def take(self, body):
        self.bytes += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.services.add(attributes(resource.resource)["service.name"])
            for scope in resource.scope_spans:
                self.spans += scope.spans

    def below(self, parent):
        found = [span for span in self.spans if span.parent_span_id == parent.span_id]
        return sorted(found, key=lambda span: span.start_time_unix_nano)


def attributes(one):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in one.attributes}


@contextmanager
def traced(home, monkeypatch, **settings):
    """A client of a service whose spans go to a collector; all of them are there at the end."""
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server.server_port}")
    try:
        with client_of(home, traces="otlp", **settings) as client:
            yield client, collector
    finally:
        collector.server.shutdown()
        collector.server.server_close()
        thread.join()


def search(client, headers=None):
    asked = {"query": QUESTION, "k": 2, "rerank": "stlib-rerank-en", "explain": True}
    return client.post("/v1/collections/notes/search", json=asked, headers=headers)


def test_one_trace_goes_from_the_caller_to_the_reranker(home, monkeypatch):
    with traced(home, monkeypatch, trace_share=0.0) as (client, collector):
        answer = search(client, {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": "r-7"})
        search(client)  # nobody traces it, and none of a hundred is taken unasked
    assert collector.services == {"stlib"}
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    (request,) = [span for span in collector.spans if span.parent_span_id.hex() == PARENT]
    assert (request.name, request.kind) == ("POST /v1/collections/{name}/search", request.SPAN_KIND_SERVER)
    told = attributes(request)
    assert told["http.response.status_code"] == 200
    assert told["http.route"] == "/v1/collections/{name}/search"
    assert told["stlib.request_id"] == "r-7"
    (retrieval,) = collector.below(request)
    told = attributes(retrieval)
    assert (retrieval.name, retrieval.kind) == ("retrieval", retrieval.SPAN_KIND_INTERNAL)
    assert told["gen_ai.operation.name"] == "retrieval"
    assert (told["gen_ai.data_source.id"], told["gen_ai.retrieval.top_k"]) == ("notes", 2)
    assert (told["stlib.search.results"], told["stlib.search.reranked"]) == (2, 2)
    steps = collector.below(retrieval)
    names = list(dict.fromkeys(step.name for step in steps))
    assert names == list(answer.json()["steps"])
    order = ["encode", "semantic", "keyword", "rescore", "fuse", "fetch", "rerank", "snippets"]
    assert [name for name in names if name in order] == order
    took = dict.fromkeys(names, 0.0)
    for step in steps:
        assert retrieval.start_time_unix_nano <= step.start_time_unix_nano <= step.end_time_unix_nano
        assert step.end_time_unix_nano <= retrieval.end_time_unix_nano
        took[step.name] += (step.end_time_unix_nano - step.start_time_unix_nano) / 1e6
    expected = answer.json()["steps"]
    assert took.pop("fuse") >= expected.pop("fuse") - 0.01  # it is one span, though it has a pause
    assert took == pytest.approx(expected, abs=0.01)


def test_no_text_stands_in_a_trace_unless_questions_are_asked_for(home, monkeypatch):
    with traced(home, monkeypatch, trace_share=1.0) as (client, collector):
        search(client)
        client.get("/v1/collections/notes/documents/calendar.md")
        client.get("/v1/collections/notes/search", params={"q": QUESTION, "filter": "nonsense ="})
        client.post("/v1/embeddings", json={"model": "stlib-static-en", "input": [QUESTION, SECRET_TEXT]})
        client.post("/v1/rerank", json={"query": QUESTION, "documents": [SECRET_TEXT]})
    for told in (QUESTION, SECRET_TEXT, "auditors", "merry", "calendar.md", "nonsense"):
        assert told.encode() not in collector.bytes
    embedded = next(span for span in collector.spans if span.name == "embeddings stlib-static-en")
    assert attributes(embedded)["gen_ai.embeddings.dimension.count"] == 256
    assert attributes(embedded)["gen_ai.usage.input_tokens"] > 10
    assert any(span.name == "rerank stlib-rerank-en" for span in collector.spans)

    with traced(home, monkeypatch, trace_share=1.0, trace_texts=True) as (client, collector):
        first = search(client).json()["results"][0]
    (told,) = [attributes(span) for span in collector.spans if span.name == "retrieval"][-1:]
    assert told["gen_ai.retrieval.query.text"] == QUESTION
    assert told["gen_ai.retrieval.documents"].startswith('[{"id": "calendar.md", "score": ')
    assert first["id"] == "calendar.md"
    assert b"merry" not in collector.bytes


def test_a_search_that_fails_is_an_error_without_its_words(home, monkeypatch):
    with traced(home, monkeypatch, trace_share=1.0) as (client, collector):
        asked = {"query": QUESTION, "vector": [1.0, 2.0]}
        assert client.post("/v1/collections/notes/search", json=asked).status_code == 400
    (failed,) = [span for span in collector.spans if span.name == "retrieval" and span.status.code == 2]
    assert (failed.status.message, list(failed.events)) == ("", [])


def test_traces_without_their_packages_are_refused_before_anything_starts(home, monkeypatch):
    real = importlib.util.find_spec

    def lacking(name, *rest):
        if name.startswith("opentelemetry.exporter"):
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", lacking)
    monkeypatch.setenv("STLIB_TRACES", "otlp")
    done = CliRunner().invoke(command, ["--port", "0", "--home", str(home)])
    assert done.exit_code == 1
    assert "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http" in done.output


def test_a_collector_that_is_away_costs_no_request(home, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with client_of(home, traces="otlp", trace_share=1.0) as client:
        assert search(client).status_code == 200
