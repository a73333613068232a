"""Sparse vectors with their true scores, and a server that speaks the search engines' protocol."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import torch


class Vectors:
    """Random sparse vectors of queries and documents: as tensors, as words, and their dot products."""

    words = ("[PAD]", ".", "_", "sort", "##s", "e.g.", "list", "é", "key", "a/b", '"', "dog")

    def __init__(self) -> None:
        draw = torch.Generator().manual_seed(3)
        self.queries, self.documents = (
            (torch.rand(n, 12, generator=draw) * (torch.rand(n, 12, generator=draw) < share)).round(
                decimals=3
            )
            for n, share in ((5, 0.4), (40, 0.3))
        )
        self.queries[3] = 0  # says nothing, and finds nothing
        self.scores = self.queries @ self.documents.T

    def decoded(self, rows: torch.Tensor) -> list[list[tuple[str, float]]]:
        return [[(self.words[i], float(row[i])) for i in row.nonzero().flatten().tolist()] for row in rows]

    def expected(self, top_k: int) -> list[list[tuple[int, float]]]:
        """Positions and scores of each query, best first, without those of score 0."""
        best = [torch.topk(row, top_k) for row in self.scores]
        return [
            [(i, s) for s, i in zip(found.values.tolist(), found.indices.tolist(), strict=True) if s > 0]
            for found in best
        ]


@pytest.fixture(scope="session")
def vectors() -> Vectors:
    return Vectors()


def assert_found(results: Any, expected: list[list[tuple[int, float]]], tolerance: float = 1e-5) -> None:
    assert [[hit["corpus_id"] for hit in hits] for hits in results] == [
        [i for i, _ in row] for row in expected
    ]
    for hits, row in zip(results, expected, strict=True):
        assert [hit["score"] for hit in hits] == pytest.approx([s for _, s in row], rel=tolerance)


@pytest.fixture(scope="session")
def same_hits() -> Any:
    return assert_found


class Server(ThreadingHTTPServer):
    """Answers as Elasticsearch and OpenSearch do to the requests that the helpers make, and keeps those.

    Scores are the sums that the two kinds of clauses stand for; anything else is refused as a server would.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, str, Any]] = []
        self.indexes: dict[str, dict[str, Any]] = {}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        self.requests.append((method, path, body))
        name, _, action = path.strip("/").partition("/")
        if path == "/_bulk":
            return 200, self.take(body)
        if method == "PUT" and not action:
            self.indexes[name] = {}
            return 200, {"acknowledged": True, "shards_acknowledged": True, "index": name}
        if action == "_refresh":
            return 200, {"_shards": {"total": 2, "successful": 1, "failed": 0}}
        if action == "_search" and name in self.indexes:
            return 200, self.search(name, body)
        return 404, {"error": {"type": "index_not_found_exception", "reason": path}, "status": 404}

    def take(self, lines: list[Any]) -> Any:
        items = []
        for action, source in zip(lines[::2], lines[1::2], strict=True):
            target = action["index"]
            bad = [word for word, weight in source["tokens"].items() if "." in word or weight <= 0]
            if bad:
                error = {"type": "document_parsing_exception", "reason": f"[rank_features] {bad}"}
                items.append({"index": {**target, "status": 400, "error": error}})
                continue
            self.indexes[target["_index"]][target["_id"]] = source
            items.append({"index": {**target, "_version": 1, "result": "created", "status": 201}})
        return {"took": 3, "errors": any("error" in item["index"] for item in items), "items": items}

    def search(self, name: str, body: Any) -> Any:
        weights = _weights(body["query"])
        scored = [
            (sum(weight * source["tokens"].get(word, 0) for word, weight in weights.items()), place)
            for place, source in self.indexes[name].items()
        ]
        best = sorted((-score, int(place), place) for score, place in scored if score > 0)[: body["size"]]
        hits = [{"_index": name, "_id": place, "_score": -score} for score, _, place in best]
        total = {"value": len(scored), "relation": "eq"}
        shards = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
        highest = hits[0]["_score"] if hits else None
        return {
            "took": 2,
            "timed_out": False,
            "_shards": shards,
            "hits": {"total": total, "max_score": highest, "hits": hits},
        }


def _weights(query: Any) -> dict[str, float]:
    """Weights of words in a query of either engine."""
    if "neural_sparse" in query:
        return query["neural_sparse"]["tokens"]["query_tokens"]
    clauses = [clause["rank_feature"] for clause in query["bool"]["should"]]
    assert query["bool"]["minimum_should_match"] == 1
    assert all(clause["linear"] == {} for clause in clauses)
    return {clause["field"].removeprefix("tokens."): clause["boost"] for clause in clauses}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def reply(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        several = self.path.endswith("_bulk")
        body = (
            [json.loads(line) for line in raw.splitlines()] if several else json.loads(raw) if raw else None
        )
        status, answer = self.server.answer(self.command, self.path.partition("?")[0], body)
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        accepted = self.headers.get("Accept", "application/json")
        self.send_header("Content-Type", accepted.partition(",")[0].replace("*/*", "application/json"))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = reply

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()
