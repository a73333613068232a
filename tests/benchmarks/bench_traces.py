"""What traces cost: processor time of a service for each search, without traces, with a tenth and with all.

    python tests/benchmarks/bench_traces.py [--chunks 100000] [--rounds 30]

Services over the same collection stand side by side, one worker each, and take turns in blocks of requests,
so that what else this machine does meanwhile falls on all alike; spans go to a sink over HTTP, which is not
counted. Processor time of the worker is what is compared, from one turn to the next, as spans are sent beside
the requests and after them; a latency would hide that. The interval holds the mean of the rounds' ratios with
95 %.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
from bench_common import describe, sample_corpus
from bench_warm_search import passages

from indexing import Collection

sys.path.append(str(Path(__file__).resolve().parents[2]))
from tests.services.api import running_service

BLOCK = 100
KINDS: dict[str, dict[str, object]] = {
    "off": {},
    "a tenth": {"traces": "otlp"},
    "all": {"traces": "otlp", "trace_share": 1.0},
}


class Sink(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@dataclass
class Measured:
    client: httpx.Client
    worker: int
    spent: list[float] = field(default_factory=list)  # ms of a processor for each request, by rounds
    took: list[float] = field(default_factory=list)
    before: float | None = None  # what was spent when the last turn began

    def processor_ms(self) -> float:
        threads = Path(f"/proc/{self.worker}/task").glob("*/schedstat")
        return sum(int(one.read_text().split()[0]) for one in threads) / 1e6

    def ask(self, questions: list[str]) -> None:
        """A turn; before it the one before is counted."""
        spent = self.processor_ms()
        if self.before is not None:
            self.spent.append((spent - self.before) / len(questions))
        self.before = spent
        for question in questions:
            started = time.perf_counter()
            answer = self.client.get("/v1/collections/bench/search", params={"q": question})
            assert answer.status_code == 200, answer.text
            self.took.append((time.perf_counter() - started) * 1e3)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    describe("opentelemetry-sdk", "faiss-cpu")
    sink = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink.server_port}"}
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        folder = Path(name)
        corpus = sample_corpus(folder / "corpus")
        questions = [json.loads(line)["text"] for line in (corpus / "queries.jsonl").open(encoding="utf-8")]
        with Collection.create("bench", home=folder / "home") as collection:
            collection.add(list(passages(corpus, given.chunks)))
            collection.refresh()
        services = {}
        for kind, settings in KINDS.items():
            service = running.enter_context(
                running_service(folder / "home", workers=1, rate=0, env=env, **settings)
            )
            client = running.enter_context(service.client())
            services[kind] = Measured(client, service.workers()[0])
            for question in questions[:20]:  # what is loaded once
                client.get("/v1/collections/bench/search", params={"q": question})
        for number in range(given.rounds + 1):  # the last turn counts the one before
            block = [questions[(number * BLOCK + i) % len(questions)] for i in range(BLOCK)]
            for one in services.values():
                one.ask(block)
    sink.shutdown()
    print(f"{given.chunks:,} chunks, hybrid, k = 10, {given.rounds} rounds of {BLOCK} searches each")
    for kind, one in services.items():
        ratios = [a / b - 1 for a, b in zip(one.spent, services["off"].spent, strict=True)]
        spread = 1.96 * statistics.stdev(ratios) / len(ratios) ** 0.5
        print(
            f"{kind:8} {statistics.mean(one.spent):6.2f} ms of a processor a search,"
            f" {statistics.mean(ratios):+6.1%} ± {spread:.1%}; p50 {statistics.median(one.took):6.2f} ms"
        )


if __name__ == "__main__":
    main()
