"""Collections that a server has yet to take into memory."""

from __future__ import annotations

import time

import pytest
from pymilvus.grpc_gen import milvus_pb2

from indexing.errors import MilvusUnavailable
from indexing.milvus.schema import Layout
from tests.unit.milvus.conftest import codes_of

SECONDS = 0.4


def test_a_search_waits_once_for_what_takes_long_to_load(cluster, fake, vectors):
    """Others are told at once. Loaded it is searched, and waited for anew after the next start."""
    client = cluster(seconds=SECONDS)
    codec, _ = codes_of("float32", vectors)
    client.create("slow", layout := Layout.of(codec, client.settings))
    client.write_marker("slow", layout, "so far")

    def load_slowly(method, request, context):
        if method == "GetLoadState":
            fake.loaded.discard("slow")
            return milvus_pb2.GetLoadStateResponse(state=2)

    for _ in range(2):
        fake.loaded.clear()
        fake.before = load_slowly
        started = time.monotonic()
        with pytest.raises(MilvusUnavailable, match="did not load a collection within"):
            client.read_marker("slow")
        assert time.monotonic() - started >= SECONDS / 2
        loads, started = len(fake.of("LoadCollection")), time.monotonic()
        for _ in range(3):
            with pytest.raises(MilvusUnavailable, match="is loading a collection"):
                client.read_marker("slow")
        assert time.monotonic() - started < SECONDS / 2
        assert len(fake.of("LoadCollection")) == loads
        fake.before = lambda method, request, context: None
        assert client.read_marker("slow").text == "so far"
