"""A server that speaks Milvus' protocol and keeps rows in memory, with every request that it got.

It has what Milvus Lite has not: vectors of half floats, small numbers and bits, parameters of expressions,
and a clock of writes. Searches compare all rows. It can be told to fail, to answer late and to be too busy.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc, schema_pb2

KINDS = {100: ("binary_vector", "u1"), 102: ("float16_vector", "<f2"), 105: ("int8_vector", "i1")}
OK = common_pb2.Status()
NOT_FOUND = common_pb2.Status(code=100, error_code=4, reason="can't find collection")
NO_INDEX = common_pb2.Status(code=700, error_code=25, reason="index not found")
NOT_LOADED = common_pb2.Status(code=101, error_code=101, reason="collection not loaded")
BUSY = common_pb2.Status(code=8, error_code=49, reason="rate limit exceeded", retriable=True)


class FakeMilvus(milvus_pb2_grpc.MilvusServiceServicer):
    """`requests` are (method, request, metadata) in the order in which they came."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Any, dict[str, Any]]] = []
        self.schemas: dict[str, Any] = {}
        self.rows: dict[str, dict[int, dict[str, Any]]] = {}
        self.indexed: set[str] = set()
        self.loaded: set[str] = set()
        self.clock = 449_000_000_000_000_000
        self.before: Callable[[str, Any, Any], Any] = lambda method, request, context: None
        self.server: Any = None

    def of(self, method: str) -> list[Any]:
        """Every request of a method."""
        return [request for name, request, _ in self.requests if name == method]

    def _take(self, method: str, request: Any, context: Any) -> Any:
        self.requests.append((method, request, dict(context.invocation_metadata())))
        return self.before(method, request, context)

    def Connect(self, request: Any, context: Any) -> Any:
        self._take("Connect", request, context)
        info = common_pb2.ServerInfo(build_tags="2.6.0")
        return milvus_pb2.ConnectResponse(status=OK, server_info=info, identifier=7)

    def GetVersion(self, request: Any, context: Any) -> Any:
        self._take("GetVersion", request, context)
        return milvus_pb2.GetVersionResponse(status=OK, version="2.6.0-fake")

    def ShowCollections(self, request: Any, context: Any) -> Any:
        if (said := self._take("ShowCollections", request, context)) is not None:
            return milvus_pb2.ShowCollectionsResponse(status=said)
        return milvus_pb2.ShowCollectionsResponse(status=OK, collection_names=list(self.schemas))

    def CreateCollection(self, request: Any, context: Any) -> Any:
        if (said := self._take("CreateCollection", request, context)) is not None:
            return said
        self.schemas[request.collection_name] = schema_pb2.CollectionSchema.FromString(request.schema)
        self.rows[request.collection_name] = {}
        return OK

    def DropCollection(self, request: Any, context: Any) -> Any:
        self._take("DropCollection", request, context)
        if self.schemas.pop(request.collection_name, None) is None:
            return NOT_FOUND
        self.rows.pop(request.collection_name)
        self.indexed.discard(request.collection_name)
        self.loaded.discard(request.collection_name)
        return OK

    def DescribeCollection(self, request: Any, context: Any) -> Any:
        self._take("DescribeCollection", request, context)
        schema = self.schemas.get(request.collection_name)
        if schema is None:
            return milvus_pb2.DescribeCollectionResponse(status=NOT_FOUND)
        return milvus_pb2.DescribeCollectionResponse(
            status=OK, schema=schema, collectionID=3, collection_name=request.collection_name
        )

    def CreateIndex(self, request: Any, context: Any) -> Any:
        if (said := self._take("CreateIndex", request, context)) is not None:
            return said
        self.indexed.add(request.collection_name)
        return OK

    def DescribeIndex(self, request: Any, context: Any) -> Any:
        self._take("DescribeIndex", request, context)
        if request.collection_name not in self.indexed:
            return milvus_pb2.DescribeIndexResponse(status=NO_INDEX)
        made = milvus_pb2.IndexDescription(index_name="vector", field_name="vector", state=3)
        return milvus_pb2.DescribeIndexResponse(status=OK, index_descriptions=[made])

    def LoadCollection(self, request: Any, context: Any) -> Any:
        if (said := self._take("LoadCollection", request, context)) is not None:
            return said
        if request.collection_name not in self.indexed:  # which has no code of its own
            return common_pb2.Status(code=65535, error_code=1, reason="there is no vector index on field")
        self.loaded.add(request.collection_name)
        return OK

    def GetLoadState(self, request: Any, context: Any) -> Any:
        said = self._take("GetLoadState", request, context)
        state = 3 if request.collection_name in self.loaded else 1
        return said or milvus_pb2.GetLoadStateResponse(status=OK, state=state)

    def Upsert(self, request: Any, context: Any) -> Any:
        if (said := self._take("Upsert", request, context)) is not None:
            return milvus_pb2.MutationResult(status=said)
        rows = self.rows[request.collection_name]
        columns = {field.field_name: _values(field) for field in request.fields_data}
        for at in range(request.num_rows):
            row = {name: values[at] for name, values in columns.items()}
            rows[int(row["key"])] = row
        return self._written()

    def Delete(self, request: Any, context: Any) -> Any:
        if (said := self._take("Delete", request, context)) is not None:
            return milvus_pb2.MutationResult(status=said)
        rows = self.rows[request.collection_name]
        for key in [key for key, row in rows.items() if _passes(row, request, request.expr)]:
            del rows[key]
        return self._written()

    def _written(self) -> Any:
        self.clock += 1 << 18
        return milvus_pb2.MutationResult(status=OK, timestamp=self.clock)

    def Query(self, request: Any, context: Any) -> Any:
        if (said := self._take("Query", request, context)) is not None:
            return milvus_pb2.QueryResults(status=said)
        if (bad := self._unusable(request.collection_name)) is not None:
            return milvus_pb2.QueryResults(status=bad)
        rows = self.rows[request.collection_name]
        found = [rows[key] for key in sorted(rows) if _passes(rows[key], request, request.expr)]
        given = {pair.key: pair.value for pair in request.query_params}
        found = found[: int(given.get("limit", len(found)))]
        if list(request.output_fields) == ["count(*)"]:
            fields = [_field("count(*)", 5, [len(found)])]
        else:
            kinds = {field.name: field.data_type for field in self.schemas[request.collection_name].fields}
            fields = [
                _field(name, kinds[name], [row[name] for row in found]) for name in request.output_fields
            ]
        return milvus_pb2.QueryResults(status=OK, fields_data=fields)

    def Search(self, request: Any, context: Any) -> Any:
        if (said := self._take("Search", request, context)) is not None:
            return milvus_pb2.SearchResults(status=said)
        if (bad := self._unusable(request.collection_name)) is not None:
            return milvus_pb2.SearchResults(status=bad)
        given = {pair.key: pair.value for pair in request.search_params}
        asked = common_pb2.PlaceholderGroup.FromString(request.placeholder_group).placeholders[0]
        kind = KINDS.get(asked.type, ("", "<f4"))[1]
        query = np.frombuffer(asked.values[0], kind)
        rows = [
            row for row in self.rows[request.collection_name].values() if _passes(row, request, request.dsl)
        ]
        scores = [_score(given["metric_type"], query, row["vector"]) for row in rows]
        sign = 1 if given["metric_type"] == "HAMMING" else -1
        order = sorted(range(len(rows)), key=lambda at: (sign * scores[at], rows[at]["key"]))
        order = order[: int(given["topk"])]
        ids = schema_pb2.IDs(int_id=schema_pb2.LongArray(data=[int(rows[at]["key"]) for at in order]))
        results = schema_pb2.SearchResultData(
            num_queries=1, top_k=len(order), ids=ids, scores=[scores[at] for at in order], topks=[len(order)]
        )
        return milvus_pb2.SearchResults(status=OK, results=results)

    def _unusable(self, name: str) -> Any:
        if name not in self.schemas:
            return NOT_FOUND
        return None if name in self.loaded else NOT_LOADED


def _values(field: Any) -> list[Any]:
    if field.type == 5:
        return list(field.scalars.long_data.data)
    if field.type == 21:
        return list(field.scalars.string_data.data)
    if field.type == 101:
        return list(np.array(field.vectors.float_vector.data, "<f4").reshape(-1, field.vectors.dim))
    slot, kind = KINDS[field.type]
    width = field.vectors.dim // 8 if field.type == 100 else field.vectors.dim
    return list(np.frombuffer(getattr(field.vectors, slot), kind).reshape(-1, width))


def _field(name: str, kind: int, values: list[Any]) -> Any:
    if kind == 5:
        numbers = schema_pb2.LongArray(data=[int(value) for value in values])
        return schema_pb2.FieldData(
            field_name=name, type=5, scalars=schema_pb2.ScalarField(long_data=numbers)
        )
    if kind == 21:
        texts = schema_pb2.StringArray(data=values)
        return schema_pb2.FieldData(
            field_name=name, type=21, scalars=schema_pb2.ScalarField(string_data=texts)
        )
    width = len(values[0]) if values else 0
    if kind == 101:
        floats = schema_pb2.FloatArray(data=np.concatenate([*values, np.empty(0, "f4")]).tolist())
        vectors = schema_pb2.VectorField(dim=width, float_vector=floats)
    else:
        data = b"".join(value.tobytes() for value in values)
        vectors = schema_pb2.VectorField(dim=8 * width if kind == 100 else width, **{KINDS[kind][0]: data})
    return schema_pb2.FieldData(field_name=name, type=kind, vectors=vectors)


def _passes(row: dict[str, Any], request: Any, expression: str) -> bool:
    if not expression:
        return True
    if compared := re.fullmatch(r"(\w+) > (-?\d+)", expression):
        return bool(row[compared[1]] > int(compared[2]))
    named = re.fullmatch(r"(\w+) (in|not in) (\{(\w+)\}|\[([\d,]*)\])", expression)
    assert named is not None, expression
    if named[4]:
        numbers = set(request.expr_template_values[named[4]].array_val.long_data.data)
    else:
        numbers = {int(one) for one in named[5].split(",") if one}
    return (row[named[1]] in numbers) == (named[2] == "in")


def _score(metric: str, query: np.ndarray, vector: np.ndarray) -> float:
    if metric == "HAMMING":
        return float(np.unpackbits(query ^ vector).sum())
    return float(query.astype(np.float64) @ vector.astype(np.float64))


@contextmanager
def serving(fake: FakeMilvus, address: str = "127.0.0.1:0", credentials: Any = None) -> Iterator[int]:
    """The port at which `fake` answers."""
    server = grpc.server(ThreadPoolExecutor(4))
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(fake, server)
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    fake.server = server
    try:
        yield port
    finally:
        server.stop(0.2).wait(2)


def late(seconds: float) -> Callable[[str, Any, Any], None]:
    """For `FakeMilvus.before`: every answer comes so much later."""
    return lambda method, request, context: time.sleep(seconds)
