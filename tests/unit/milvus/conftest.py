"""A fake cluster, and clients of it that leave nothing behind."""

from __future__ import annotations

import numpy as np
import pytest

from indexing.milvus.client import Milvus
from indexing.milvus.settings import MilvusSettings
from indexing.quantization import Codec, normalize
from tests.unit.milvus.fake_milvus import FakeMilvus, serving


@pytest.fixture
def fake():
    return FakeMilvus()


@pytest.fixture
def port(fake):
    with serving(fake) as port:
        yield port


@pytest.fixture
def make_client():
    """Makes a client of settings; all are closed at the end."""
    made = []

    def make(address: str, **settings) -> Milvus:
        made.append(Milvus(MilvusSettings(address, **settings)))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def cluster(port, make_client):
    """Makes a client of the fake cluster."""
    return lambda **settings: make_client(f"http://127.0.0.1:{port}", **settings)


@pytest.fixture(scope="session")
def vectors():
    """float32 [300, 24], of length one."""
    return normalize(np.random.default_rng(5).standard_normal((300, 24)))


def codes_of(precision, vectors):
    codec = Codec.fit(precision, vectors)
    return codec, codec.encode(vectors).codes
