"""The client over the wire, with a cluster that keeps what it gets: vectors, markers, moments, batches."""

from __future__ import annotations

import time

import numpy as np
import pytest

from indexing.errors import BadInput, CorruptView, MilvusUnavailable, StorageError
from indexing.milvus import client as client_module
from indexing.milvus.conditions import of_chunks
from indexing.milvus.schema import Layout
from indexing.quantization import Codec
from tests.unit.milvus.conftest import codes_of
from tests.unit.milvus.fake_milvus import BUSY, NOT_LOADED

KINDS = {"float32": "float32", "int8": "int8", "uint8": "int8", "binary": "binary", "ubinary": "binary"}


def fill(client, precision, vectors, name="stlib_x_1_1"):
    """A collection with all vectors: keys from 1."""
    codec, codes = codes_of(precision, vectors)
    layout = Layout.of(codec, client.settings)
    keys = np.arange(1, len(vectors) + 1)
    client.create(name, layout)
    client.upsert(name, layout, keys, codes)
    return name, layout, codes


@pytest.mark.parametrize("precision", list(KINDS))
def test_vectors_come_back_bit_by_bit(cluster, vectors, precision):
    client = cluster()
    name, layout, codes = fill(client, precision, vectors)
    assert layout.kind == KINDS[precision]
    keys, values = client.vectors(name, layout, np.array([3, 250, 999]))
    assert sorted(keys.tolist()) == [3, 250]
    assert np.array_equal(values, layout.values(codes)[keys - 1])


@pytest.mark.parametrize(
    ("precision", "recall"), [("float32", 1.0), ("int8", 0.9), ("uint8", 0.9), ("binary", 0.5)]
)
def test_what_is_proposed_has_the_best_rows(cluster, vectors, precision, recall):
    """Of the ten best by decoded codes, so many are among the thirty that Milvus proposes."""
    client = cluster()
    name, layout, codes = fill(client, precision, vectors)
    decoded, found = layout.codec.decode(codes), 0
    for query in vectors[:20]:
        wanted = np.argsort(-(decoded @ query))[:10] + 1
        found += len(np.intersect1d(client.nearest(name, layout, query, 30).keys, wanted))
    assert found / 200 >= recall


def test_float16_is_the_decoded_vector_in_half_precision(cluster, vectors):
    client = cluster(vectors="float16")
    name, layout, codes = fill(client, "int8", vectors)
    assert layout.kind == "float16"
    near = client.nearest(name, layout, vectors[4], 5)
    halves = layout.codec.decode(codes).astype(np.float16).astype(np.float64)
    expected = halves @ vectors[4].astype(np.float16).astype(np.float64)
    assert near.keys.tolist() == (np.argsort(-expected)[:5] + 1).tolist()
    assert near.scores == pytest.approx(np.sort(expected)[::-1][:5], abs=1e-6)


def test_a_dimension_of_bits_is_filled_up_to_whole_bytes(cluster, fake, vectors):
    client = cluster()
    _, layout, _ = fill(client, "binary", vectors[:, :21])
    assert layout.dimension == 24
    field = fake.schemas["stlib_x_1_1"].fields[1]
    assert (field.data_type, field.type_params[0].value) == (100, "24")


def test_a_marker_says_how_far_the_rows_follow_and_is_no_row(cluster, vectors):
    client = cluster()
    name, layout, _ = fill(client, "float32", vectors)
    assert client.read_marker(name) is None
    client.write_marker(name, layout, '{"change": 7}')
    assert client.read_marker(name).text == '{"change": 7}'
    assert client.count(name) == 300
    assert client.all_keys(name).tolist() == list(range(1, 301))
    assert 0 not in client.nearest(name, layout, -vectors[0], 300).keys
    assert len(client.nearest(name, layout, vectors[0], 300).keys) == 300


def test_a_search_names_the_moment_at_which_the_rows_were_written(cluster, fake, vectors):
    """By the marker another process knows it too, and later rows move it."""
    client = cluster()
    name, layout, _ = fill(client, "float32", vectors)
    written = fake.clock
    client.write_marker(name, layout, "")
    marker = cluster().read_marker(name)
    assert marker.written == written < fake.clock
    client.nearest(name, layout, vectors[0], 3, since=marker.written)
    search = fake.of("Search")[-1]
    assert (search.consistency_level, search.guarantee_timestamp, search.use_default_consistency) == (
        1,  # Session
        written,
        False,
    )
    client.delete(name, np.array([1]))
    client.write_marker(name, layout, "", since=marker.written)
    assert client.read_marker(name).written > marker.written


def test_a_process_that_wrote_nothing_keeps_the_moment_of_the_marker(cluster, vectors):
    client, other = cluster(), cluster()
    name, layout, _ = fill(client, "float32", vectors)
    client.write_marker(name, layout, "")
    marker = other.read_marker(name)
    other.write_marker(name, layout, "again", since=marker.written)
    assert other.read_marker(name) == ("again", marker.written)


@pytest.mark.parametrize(
    ("consistency", "since", "level", "moment"),
    [("session", 5, 1, 5), ("session", 0, 0, 0), ("strong", 5, 0, 0), ("bounded", 5, 2, 2)],
)
def test_consistency_is_that_of_the_settings(cluster, fake, vectors, consistency, since, level, moment):
    client = cluster(consistency=consistency)
    name, layout, _ = fill(client, "float32", vectors)
    client.nearest(name, layout, vectors[0], 1, since=since)
    client.read_marker(name)
    search, query = fake.of("Search")[-1], fake.of("Query")[-1]
    assert (search.consistency_level, search.guarantee_timestamp) == (level, moment)
    assert (query.consistency_level, query.guarantee_timestamp) == (0, 0)  # of the marker always Strong


def test_replicas_shards_and_maps_are_those_of_the_settings(cluster, fake, vectors):
    client = cluster(replicas=2, shards=4, mmap=True, database="team", token="root:hush")
    fill(client, "int8", vectors)
    created, index = fake.of("CreateCollection")[0], fake.of("CreateIndex")[0]
    assert created.shards_num == 4
    assert [(pair.key, pair.value) for pair in created.properties] == [("mmap.enabled", "true")]
    assert {pair.key: pair.value for pair in index.extra_params} == {
        "index_type": "HNSW",
        "metric_type": "IP",
        "M": "16",
        "efConstruction": "200",
    }
    assert fake.of("LoadCollection")[0].replica_number == 2
    for method, _, metadata in fake.requests:
        assert (metadata["dbname"], metadata["authorization"]) == ("team", b"cm9vdDpodXNo".decode()), method


def test_numbers_of_a_condition_go_along_as_a_parameter(cluster, fake, vectors):
    client = cluster()
    name, layout, _ = fill(client, "float32", vectors)
    near = client.nearest(name, layout, vectors[0], 9, of_chunks(np.array([8, 7, 999])))
    assert sorted(near.keys.tolist()) == [7, 8]
    search = fake.of("Search")[-1]
    assert search.dsl == "key in {numbers}"
    assert list(search.expr_template_values["numbers"].array_val.long_data.data) == [7, 8, 999]


def test_rows_are_written_in_batches_of_bounded_size(cluster, fake, vectors, monkeypatch):
    monkeypatch.setattr(client_module, "BATCH_BYTES", 12_800)
    client = cluster()
    name, _, _ = fill(client, "float32", vectors)
    sizes = [request.num_rows for request in fake.of("Upsert")]
    assert sizes == [100, 100, 100]
    assert max(request.ByteSize() for request in fake.of("Upsert")) < 12_800
    assert client.count(name) == 300


def test_what_is_sent_twice_is_there_once(cluster, vectors):
    client = cluster()
    name, layout, codes = fill(client, "float32", vectors)
    client.upsert(name, layout, np.arange(1, 11), codes[:10])
    assert client.count(name) == 300


def test_many_keys_are_read_page_by_page(cluster, fake, vectors, monkeypatch):
    monkeypatch.setattr(client_module, "MOST_RESULTS", 128)
    client = cluster()
    name, _, _ = fill(client, "float32", vectors)
    assert client.all_keys(name).tolist() == list(range(1, 301))
    assert [request.expr for request in fake.of("Query")] == [
        "key > 0",
        "key > 128",
        "key > 256",
        "key > 300",
    ]


def test_a_collection_that_is_not_in_memory_is_loaded(cluster, fake, vectors):
    client = cluster(replicas=2)
    name, layout, _ = fill(client, "float32", vectors)
    fake.loaded.clear()
    assert client.nearest(name, layout, vectors[0], 1).keys.tolist() == [1]
    assert [request.replica_number for request in fake.of("LoadCollection")] == [2, 2]


def test_a_search_does_not_wait_for_long_until_it_is_loaded(cluster, fake, vectors):
    client = cluster(seconds=0.2)
    name, layout, _ = fill(client, "float32", vectors)
    fake.before = lambda method, request, context: fake.loaded.clear()
    began = time.monotonic()
    with pytest.raises(MilvusUnavailable, match=r"did not load .* within 0\.2 s"):
        client.nearest(name, layout, vectors[0], 1)
    assert time.monotonic() - began < 5  # it is never loaded


def test_one_that_is_never_loaded_is_an_error_within_the_bound(cluster, fake, vectors):
    client = cluster(write_seconds=0.2)
    codec, _ = codes_of("float32", vectors)
    fake.before = lambda method, request, context: BUSY if method == "LoadCollection" else None
    with pytest.raises(MilvusUnavailable, match="too busy"):
        client.create("stlib_x_1_1", Layout.of(codec, client.settings))
    fake.before = lambda method, request, context: fake.loaded.clear()
    with pytest.raises(MilvusUnavailable, match=r"did not load .* within 0.2 s"):
        client.create("stlib_x_1_1", Layout.of(codec, client.settings))


def test_a_collection_that_is_gone_says_so(cluster, vectors):
    client = cluster()
    name, layout, _ = fill(client, "float32", vectors)
    assert client.names("stlib_x") == [name]
    assert client.names("stlib_y") == []
    client.drop(name)
    client.drop(name)
    assert not client.has(name)
    with pytest.raises(CorruptView, match="no such collection"):
        client.nearest(name, layout, vectors[0], 1)


def test_a_request_that_milvus_refuses_names_its_reason(cluster, fake, vectors):
    client = cluster()
    name, layout, codes = fill(client, "float32", vectors)
    refusal = NOT_LOADED.__class__(code=1100, reason="expected 8\n  dimensions")
    fake.before = lambda method, request, context: refusal
    with pytest.raises(StorageError, match=r"refused Upsert: expected 8 dimensions \(code 1100\)") as caught:
        client.upsert(name, layout, np.array([1]), codes[:1])
    assert not isinstance(caught.value, MilvusUnavailable)


def test_a_milvus_that_knows_no_such_vectors_is_told_what_to_set(cluster, fake, vectors):
    codec, _ = codes_of("int8", vectors)
    refusal = NOT_LOADED.__class__(code=1100, reason="data type Int8Vector is not supported")
    fake.before = lambda method, request, context: refusal
    with pytest.raises(
        StorageError, match=r"Int8Vector .* STLIB_MILVUS_VECTORS=float16 is for older versions"
    ):
        cluster().create("stlib_x_1_1", Layout.of(codec, cluster().settings))


def test_a_batch_that_comes_too_fast_is_sent_again(cluster, fake, vectors):
    client, refusals = cluster(), iter([BUSY, BUSY])
    name, layout, codes = fill(client, "float32", vectors)
    before = len(fake.of("Upsert"))
    fake.before = lambda method, request, context: next(refusals, None) if method == "Upsert" else None
    client.upsert(name, layout, np.array([1]), codes[:1])
    assert len(fake.of("Upsert")) - before == 3


@pytest.mark.parametrize(
    ("code", "retriable"), [(103, True), (503, False), (500, False), (901, False), (902, False), (2300, True)]
)
def test_a_cluster_that_loses_a_node_is_busy_and_not_one_that_refuses(
    cluster, fake, vectors, code, retriable
):
    client, reason = cluster(), "channel not available"
    name, layout, codes = fill(client, "float32", vectors)
    status = BUSY.__class__(code=code, reason=reason, retriable=retriable)
    fake.before = lambda method, request, context: status if method == "Search" else None
    with pytest.raises(MilvusUnavailable, match=rf"too busy \({reason} \(code {code}\)\): try again"):
        client.nearest(name, layout, vectors[0], 1)
    refusals, before = iter([status]), len(fake.of("Upsert"))
    fake.before = lambda method, request, context: next(refusals, None) if method == "Upsert" else None
    client.upsert(name, layout, np.array([1]), codes[:1])
    assert len(fake.of("Upsert")) - before == 2


def test_int8_needs_codes_with_ranges(cluster):
    with pytest.raises(BadInput, match="STLIB_MILVUS_VECTORS=int8"):
        Layout.of(Codec("float32", 8), cluster(vectors="int8").settings)


def test_too_many_dimensions_are_refused_before_anything_is_made(cluster, fake):
    settings = cluster().settings
    with pytest.raises(BadInput, match="32,768"):
        Layout.of(Codec("float32", 40_000), settings)
    assert Layout.of(Codec("binary", 40_000, np.ones((2, 40_000))), settings).kind == "binary"
    assert not fake.requests
