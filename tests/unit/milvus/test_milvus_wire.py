"""Requests are those that pymilvus' own client sends for the same; loading it leaves nothing behind."""

from __future__ import annotations

import json
import logging
import os

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient

from indexing.errors import BadInput
from indexing.milvus import wire
from indexing.milvus.conditions import of_chunks
from indexing.milvus.schema import Layout
from tests.unit.milvus.conftest import codes_of
from tests.unit.milvus.test_milvus_client import fill

NAME = "stlib_x_1_1"
FIELD_TYPES = {
    "float32": DataType.FLOAT_VECTOR,
    "int8": DataType.INT8_VECTOR,
    "binary": DataType.BINARY_VECTOR,
}


@pytest.fixture
def theirs(port):
    client = MilvusClient(f"http://127.0.0.1:{port}", dedicated=True)
    yield client
    client.close()


def pairs(request, name):
    """Pairs of text of a request, those that are JSON as what they say."""
    return {
        pair.key: json.loads(pair.value) if pair.value.startswith("{") else pair.value
        for pair in getattr(request, name)
    }


def same(ours, theirs, *names):
    for name in names:
        assert getattr(ours, name) == getattr(theirs, name), name


@pytest.mark.parametrize("precision", list(FIELD_TYPES))
def test_a_search_is_the_one_of_pymilvus(cluster, fake, theirs, vectors, precision):
    client = cluster()
    name, layout, codes = fill(client, precision, vectors)
    client.nearest(name, layout, vectors[3], 9, of_chunks(np.array([5, 6])))
    ours = fake.of("Search")[-1]
    query = np.frombuffer(layout.query_value(vectors[3]), layout.values(codes).dtype)
    theirs.search(
        name,
        [query.tobytes() if precision == "binary" else query],
        filter="key in {numbers}",
        filter_params={"numbers": [5, 6]},
        limit=10,  # one more: the marker may be among them
        anns_field="vector",
        search_params={"metric_type": layout.metric, "params": layout.search_parameters(10)},
        consistency_level="Strong",
    )
    other = fake.of("Search")[-1]
    assert other is not ours
    same(ours, other, "collection_name", "dsl", "dsl_type", "placeholder_group", "nq", "expr_template_values")
    same(ours, other, "consistency_level", "guarantee_timestamp", "use_default_consistency", "output_fields")
    assert pairs(ours, "search_params") == pairs(other, "search_params")


def test_rows_are_those_of_pymilvus(cluster, fake, theirs, vectors):
    for precision in FIELD_TYPES:
        client = cluster()
        name, layout, codes = fill(client, precision, vectors[:9], f"{NAME}_{precision}")
        ours = fake.of("Upsert")[-1]
        values = layout.values(codes)
        rows = [
            {
                "key": at + 1,
                "vector": values[at].tobytes() if precision == "binary" else values[at],
                "note": "",
            }
            for at in range(9)
        ]
        theirs.upsert(name, rows)
        other = fake.of("Upsert")[-1]
        assert other is not ours
        same(ours, other, "collection_name", "num_rows", "partial_update")
        mine = {field.field_name: field for field in ours.fields_data}
        for field in other.fields_data:
            same(mine[field.field_name], field, "type", "scalars", "vectors")


def test_a_collection_is_the_one_of_pymilvus(cluster, fake, theirs, vectors):
    client = cluster(shards=2, mmap=True)
    fill(client, "int8", vectors)
    ours, index = fake.of("CreateCollection")[-1], fake.of("CreateIndex")[-1]
    schema = theirs.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("key", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.INT8_VECTOR, dim=24)
    schema.add_field("note", DataType.VARCHAR, max_length=4096)
    wanted = theirs.prepare_index_params()
    wanted.add_index(
        "vector",
        index_type="HNSW",
        index_name="vector",
        metric_type="IP",
        params={"M": 16, "efConstruction": 200},
    )
    fake.before = lambda *_: None
    theirs.create_collection(
        NAME,
        schema=schema,
        shards_num=2,
        properties={"mmap.enabled": "true"},
        consistency_level="Strong",
    )
    theirs.create_index(NAME, wanted)
    other, their_index = fake.of("CreateCollection")[-1], fake.of("CreateIndex")[-1]
    same(ours, other, "collection_name", "schema", "shards_num", "consistency_level", "properties")
    same(index, their_index, "collection_name", "field_name", "index_name")
    assert pairs(index, "extra_params") == pairs(their_index, "extra_params")


def test_what_is_removed_and_read_is_asked_for_as_by_pymilvus(cluster, fake, theirs, vectors):
    client = cluster()
    name, layout, _ = fill(client, "float32", vectors)
    client.delete(name, np.array([4, 5]))
    ours = fake.of("Delete")[-1]
    theirs.delete(name, filter="key in {numbers}", filter_params={"numbers": [4, 5]})
    other = fake.of("Delete")[-1]
    same(ours, other, "collection_name", "expr", "expr_template_values", "partition_name")
    client.vectors(name, layout, np.array([7, 8]))
    ours = fake.of("Query")[-1]
    theirs.query(
        name,
        filter="key in {numbers}",
        filter_params={"numbers": [7, 8]},
        output_fields=["key", "vector"],
        consistency_level="Strong",
    )
    other = fake.of("Query")[-1]
    same(ours, other, "collection_name", "expr", "expr_template_values", "output_fields", "consistency_level")
    same(ours, other, "guarantee_timestamp", "use_default_consistency")
    assert pairs(ours, "query_params") == pairs(other, "query_params")


def test_loading_pymilvus_leaves_the_environment_and_logging_alone(monkeypatch):
    monkeypatch.setenv("STLIB_LEFT_ALONE", "before")
    kept = wire.load_messages()

    def load():
        os.environ["STLIB_LEFT_ALONE"] = "from a file"
        os.environ["STLIB_MILVUS_FROM_A_FILE"] = "1"
        logging.getLogger("pymilvus").addHandler(logging.StreamHandler())
        return kept

    monkeypatch.setattr(wire, "_messages", None)
    monkeypatch.setattr(wire, "_import_messages", load)
    assert wire.load_messages() is kept
    assert os.environ["STLIB_LEFT_ALONE"] == "before"
    assert "STLIB_MILVUS_FROM_A_FILE" not in os.environ
    assert not logging.getLogger("pymilvus").handlers


def test_without_pymilvus_the_message_says_what_to_install(monkeypatch):
    def fail():
        raise ModuleNotFoundError("No module named 'pymilvus'", name="pymilvus")

    monkeypatch.setattr(wire, "_messages", None)
    monkeypatch.setattr(wire, "_import_messages", fail)
    with pytest.raises(BadInput, match="needs the package pymilvus: pip install"):
        wire.load_messages()


def test_signatures_tell_layouts_apart(cluster, vectors):
    codec, _ = codes_of("int8", vectors)
    kinds = [
        Layout.of(codec, cluster(vectors=kind).settings) for kind in ("auto", "float32", "float16", "binary")
    ]
    assert len({layout.signature for layout in kinds}) == 4
