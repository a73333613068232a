"""Several processes and streams give what one call of ``encode`` gives; a dead worker is an error."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import torch

from stlib import SentenceTransformer, errors

pytestmark = pytest.mark.parity

TEXTS = [f"sort the list {i} of dogs " * (i % 7) for i in range(53)]


@pytest.fixture(scope="module")
def model(tiny_bert):
    return SentenceTransformer(tiny_bert, device="cpu", prompts={"query": "query: "})


@pytest.fixture(scope="module")
def pool(model):
    pool = model.start_multi_process_pool(["cpu", "cpu"])
    yield pool
    model.stop_multi_process_pool(pool)


@pytest.mark.parametrize("chunk_size", [None, 1, 10, 1000])
def test_pool_equals_one_process(model, pool, chunk_size):
    options = {"prompt_name": "query", "normalize_embeddings": True, "truncate_dim": 20}
    many = model.encode(TEXTS, pool=pool, chunk_size=chunk_size, **options)
    np.testing.assert_allclose(many, model.encode(TEXTS, **options), rtol=0, atol=1e-5)
    older = model.encode_multi_process(TEXTS, pool, chunk_size=chunk_size, **options)
    np.testing.assert_allclose(older, many, rtol=0, atol=1e-5)


def test_pool_serves_every_form(model, pool):
    assert model.encode([], pool=pool).shape == (0,)
    np.testing.assert_allclose(model.encode("one", pool=pool), model.encode("one"), rtol=0, atol=1e-5)
    tensors = model.encode(TEXTS, pool=pool, convert_to_tensor=True)
    assert isinstance(tensors, torch.Tensor)
    codes = model.encode(TEXTS, pool=pool, precision="ubinary")
    assert (codes != model.encode(TEXTS, precision="ubinary")).mean() < 0.01
    ours = model.encode(TEXTS, pool=pool, output_value="token_embeddings")
    for a, b in zip(ours, model.encode(TEXTS, output_value="token_embeddings"), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5)
    every = model.encode(TEXTS[:3], pool=pool, output_value=None)
    assert [row["sentence_embedding"].shape for row in every] == [(32,)] * 3


def test_an_error_in_a_worker_is_raised_and_the_pool_goes_on(model, pool):
    with pytest.raises(errors.WorkerFailed, match=r"InvalidInput: input 0 is a NoneType"):
        model.encode([*TEXTS, None], pool=pool, chunk_size=1)
    np.testing.assert_allclose(model.encode(TEXTS, pool=pool), model.encode(TEXTS), rtol=0, atol=1e-5)


def test_a_dead_worker_is_an_error(model):
    pool = model.start_multi_process_pool(["cpu", "cpu"])
    model.encode(TEXTS, pool=pool)
    os.kill(pool["processes"][0].pid, signal.SIGKILL)
    pool["processes"][0].join()
    with pytest.raises(errors.WorkerFailed, match="1 of 2 workers ended"):
        model.encode(TEXTS, pool=pool)
    model.stop_multi_process_pool(pool)


def test_devices_as_a_list(model):
    np.testing.assert_allclose(model.encode(TEXTS, device=["cpu"]), model.encode(TEXTS), rtol=0, atol=1e-5)


def test_stream_equals_one_call_and_reads_as_it_goes(model):
    read = []

    def source():
        for text in TEXTS:
            read.append(text)
            yield text

    stream = model.encode_stream(source(), window=10, normalize_embeddings=True)
    assert not read
    first = next(stream)
    assert len(read) == 10
    whole = np.concatenate([first, *stream])
    np.testing.assert_allclose(whole, model.encode(TEXTS, normalize_embeddings=True), rtol=0, atol=1e-5)
    with pytest.raises(errors.InvalidOption, match="ranges"):
        next(model.encode_stream(TEXTS, precision="int8"))
