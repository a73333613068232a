"""Search over HTTP on 100,000 chunks, hybrid, k = 10, beside `Collection.search` in processes of its own.

    python tests/benchmarks/bench_http.py [--chunks 100000] [--seconds 60] [--quick]

Everything runs on this machine, the clients too: what they take is missing for the service. Four figures:

    without pause   answers a second of 8 connections that ask again at once, over those of two processes
                    that call `Collection.search`                                       promised: 0.7 and more
    at half rate    p50 and p99 of requests evenly spaced at half of that rate, from when each should have
                    been sent                                                           promised: p99 ≤ 60 ms
    one request     p50 of requests one after the other, less that of `Collection.search`, asked in turn
                                                                                        promised: ≤ 3 ms
    ready           from the start of `stlib serve` until it says so                    promised: ≤ 3 s
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench_common import describe, sample_corpus
from bench_warm_search import passages

from indexing import Collection

CLIENTS = 8
MOST_OPEN = 64  # connections at half rate, so that a stall is one of the service
NAME = "bench"
_SERVE = "from app.cli import main; main()"


class Connection:
    """One kept connection: a question goes out, and the answer is read as it comes."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        self._whole = 0
        self.since = 0.0

    def ask(self, request: bytes, since: float) -> None:
        self.since = since
        self._received.clear()
        self._whole = 0
        self.socket.sendall(request)

    def read(self) -> int:
        """The status once the answer is complete; 0 before."""
        piece = self.socket.recv(1 << 18)
        if not piece:
            raise ConnectionError("the service closed a connection")
        self._received += piece
        if not self._whole:
            head = self._received.find(b"\r\n\r\n")
            if head < 0:
                return 0
            at = self._received.index(b"content-length: ") + 16
            self._whole = head + 4 + int(self._received[at : self._received.index(b"\r", at)])
        return int(self._received[9:12]) if len(self._received) >= self._whole else 0

    def body(self) -> bytes:
        return bytes(self._received[self._received.index(b"\r\n\r\n") + 4 :])


@dataclass
class Load:
    """Seconds of each answer, how many were errors, and how long it took."""

    took: list[float] = field(default_factory=list)
    errors: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.took) / self.seconds

    def percentile(self, share: float) -> float:
        return sorted(self.took)[min(len(self.took) - 1, int(share * len(self.took)))] * 1e3


def requests_of(queries: Sequence[str]) -> list[bytes]:
    made = []
    for query in queries:
        body = json.dumps({"query": query, "k": 10}).encode()
        made.append(
            b"POST /v1/collections/%s/search HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
            % (NAME.encode(), len(body), body)
        )
    return made


def without_pause(port: int, requests: Sequence[bytes], seconds: float) -> Load:
    """`CLIENTS` connections that ask again as soon as they are answered."""
    load, sent = Load(), 0
    with selectors.DefaultSelector() as selector:
        for _ in range(CLIENTS):
            one = Connection(port)
            selector.register(one.socket, selectors.EVENT_READ, one)
            one.ask(requests[sent % len(requests)], time.perf_counter())
            sent += 1
        started = time.perf_counter()
        open_ = CLIENTS
        while open_:
            for key, _ in selector.select():
                one = key.data
                status = one.read()
                if not status:
                    continue
                now = time.perf_counter()
                load.took.append(now - one.since)
                load.errors += status != 200
                if now - started < seconds:
                    one.ask(requests[sent % len(requests)], now)
                    sent += 1
                else:
                    selector.unregister(one.socket)
                    one.socket.close()
                    open_ -= 1
        load.seconds = time.perf_counter() - started
    return load


def evenly(port: int, requests: Sequence[bytes], rate: float, seconds: float) -> Load:
    """`rate` requests a second; one that no connection is free for waits, and its time counts."""
    load, idle, due = Load(), deque[Connection](), deque[float]()
    count = int(rate * seconds)
    sent = done = opened = planned = 0
    with selectors.DefaultSelector() as selector:
        started = time.perf_counter() + 0.05
        while done < count:
            now = time.perf_counter()
            while planned < count and started + planned / rate <= now:
                due.append(started + planned / rate)
                planned += 1
            while due and (idle or opened < MOST_OPEN):
                if not idle:
                    one = Connection(port)
                    selector.register(one.socket, selectors.EVENT_READ, one)
                    opened += 1
                else:
                    one = idle.popleft()
                one.ask(requests[sent % len(requests)], due.popleft())
                sent += 1
            wait = max(0.0, started + planned / rate - time.perf_counter()) if planned < count else 1.0
            for key, _ in selector.select(wait):
                one = key.data
                if status := one.read():
                    load.took.append(time.perf_counter() - one.since)
                    load.errors += status != 200
                    idle.append(one)
                    done += 1
        load.seconds = time.perf_counter() - started
    return load


def in_processes(home: Path, queries: Sequence[str], seconds: float, processes: int = 2) -> float:
    """Answers a second of so many processes that call `Collection.search`, together."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        barrier = time.time() + 6.0  # when all have opened it
        counts = pool.starmap(
            search_for,
            [(home, queries[i::processes], seconds, barrier) for i in range(processes)],
            chunksize=1,
        )
    return sum(counts) / seconds


def search_for(home: Path, queries: Sequence[str], seconds: float, begin: float) -> int:
    with Collection.open(NAME, home=home) as collection:
        for query in queries[:20]:
            collection.search(query, 10)
        time.sleep(max(0.0, begin - time.time()))
        done, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            collection.search(queries[done % len(queries)], 10)
            done += 1
    return done


def one_by_one(port: int, home: Path, queries: Sequence[str], times: int) -> tuple[float, float]:
    """Medians in milliseconds of a request and of `Collection.search`, asked in turn."""
    requests = requests_of(queries)
    over_http: list[float] = []
    direct: list[float] = []
    one = Connection(port)
    with Collection.open(NAME, home=home) as collection:
        for i in range(times + 10):
            started = time.perf_counter()
            one.ask(requests[i % len(requests)], started)
            while not one.read():
                pass
            middle = time.perf_counter()
            collection.search(queries[i % len(queries)], 10)
            over_http.append(middle - started)
            direct.append(time.perf_counter() - middle)
            assert len(json.loads(one.body())["results"]) == 10
    one.socket.close()
    return statistics.median(over_http[10:]) * 1e3, statistics.median(direct[10:]) * 1e3


def in_a_process(function: Callable[..., Load], *arguments: object) -> Load:
    """The clients have a process of their own, as they have elsewhere."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


@contextmanager
def served(home: Path) -> Iterator[tuple[int, float]]:
    """The port of `stlib serve`, and how many seconds it took until it said that it is ready."""
    started = time.perf_counter()
    with (home.parent / "service.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, "serve", "--port", "0", "--home", str(home)],
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().split()[1].rpartition(b":")[2])
        assert process.stdout.readline() == b"ready\n"
        yield port, time.perf_counter() - started
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--quick", action="store_true", help="10,000 chunks, 5 seconds: does it work?")
    options = parser.parse_args()
    chunks, seconds = (10_000, 5.0) if options.quick else (options.chunks, options.seconds)
    describe("fastapi", "uvicorn", "httptools", "uvloop", "faiss-cpu", "tantivy")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes that are compared with; workers have it
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        corpus = sample_corpus(Path(name) / "corpus")
        queries = [json.loads(line)["text"] for line in (corpus / "queries.jsonl").open(encoding="utf-8")]
        with Collection.create(NAME, home=home) as collection:
            collection.add(passages(corpus, chunks))
            collection.refresh()
        measure(home, queries, seconds, chunks)


def measure(home: Path, queries: Sequence[str], seconds: float, chunks: int) -> None:
    requests = requests_of(queries)
    with served(home) as (port, first):
        pass
    with served(home) as (port, ready):
        in_a_process(without_pause, port, requests, min(2.0, seconds))  # warm
        single, direct = one_by_one(port, home, queries, int(10 * seconds))
        half = seconds / 2  # before and after, as the machine may be busier at one time
        reference = in_processes(home, queries, half)
        load = in_a_process(without_pause, port, requests, seconds)
        reference = (reference + in_processes(home, queries, half)) / 2
        paced = in_a_process(evenly, port, requests, load.rate / 2, seconds)
    print(f"{chunks:,} chunks, {len(queries)} questions, hybrid, k = 10, with texts and snippets")
    print(f"ready          {ready:6.2f} s  (the first time {first:.2f} s)")
    print(
        f"one request    {single:6.2f} ms p50, Collection.search {direct:.2f} ms: {single - direct:+.2f} ms"
    )
    print(
        f"without pause  {load.rate:6.0f} answers/s of {CLIENTS} clients, p50 {load.percentile(0.5):.1f} ms,"
        f" p99 {load.percentile(0.99):.1f} ms, {load.errors} errors"
    )
    print(f"               {reference:6.0f} answers/s of two processes: ratio {load.rate / reference:.2f}")
    print(
        f"at half rate   {paced.rate:6.0f} answers/s, p50 {paced.percentile(0.5):.1f} ms,"
        f" p99 {paced.percentile(0.99):.1f} ms, slowest {paced.percentile(1):.1f} ms, {paced.errors} errors"
    )


if __name__ == "__main__":
    main()
