"""Several processes and streams give what one call of ``encode`` gives; a dead worker is an error."""

from __future__ import annotations

import faulthandler
import importlib
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from stlib import SentenceTransformer, errors
from stlib.models import Pooling, Transformer

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


@pytest.fixture
def ends_a_hang():
    """A thread that waits for ever would keep the whole run waiting."""
    faulthandler.dump_traceback_later(120, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def test_threads_share_a_pool(model, pool, ends_a_hang):
    ours = [f"sort the list {i} of dogs " * (i % 9) for i in range(200)]
    theirs = [f"the quick brown fox {i} " * (i % 7) for i in range(200)]
    with ThreadPoolExecutor(2) as threads:
        found = threads.map(lambda texts: model.encode(texts, pool=pool), (ours, theirs))
        for texts, vectors in zip((ours, theirs), found, strict=True):
            np.testing.assert_allclose(vectors, model.encode(texts), rtol=0, atol=1e-5)


def test_an_error_in_a_worker_is_raised_and_the_pool_goes_on(model, pool):
    with pytest.raises(errors.WorkerFailed, match=r"InvalidInput: input 0 is a NoneType"):
        model.encode([*TEXTS, None], pool=pool, chunk_size=1)
    np.testing.assert_allclose(model.encode(TEXTS, pool=pool), model.encode(TEXTS), rtol=0, atol=1e-5)


class Interrupted:
    """A pipe whose reader presses Ctrl-C."""

    def __init__(self, pipe):
        self._pipe = pipe

    def recv(self):
        raise KeyboardInterrupt

    def __getattr__(self, name):
        return getattr(self._pipe, name)


def test_interrupted_and_dead_workers_are_errors(model):
    pool = model.start_multi_process_pool(["cpu", "cpu"])
    first, second = pool["workers"]
    first.pipe = Interrupted(first.pipe)
    with pytest.raises(KeyboardInterrupt):
        model.encode(TEXTS, pool=pool)
    # Half a message may be left in the pipe, so the pool is of no use any more
    with pytest.raises(errors.WorkerFailed, match="the pool was interrupted"):
        model.encode(TEXTS, pool=pool)
    os.kill(second.process.pid, signal.SIGKILL)
    second.process.join()
    first.process.join()  # its pipe has ended
    with pytest.raises(errors.WorkerFailed, match="2 of 2 workers ended"):
        model.encode(TEXTS, pool=pool)
    model.stop_multi_process_pool(pool)
    with pytest.raises(errors.WorkerFailed, match="the pool was stopped"):
        model.encode(TEXTS, pool=pool)
    model.stop_multi_process_pool(pool)  # a second time does no harm


KILLS_ITSELF = """
import os, signal, threading
import torch
from stlib.models import Module

class KillsItself(Module):
    forward_kwargs = {"moment"}

    def forward(self, features, moment=None, **kwargs):
        if moment == "before it answers":
            os.kill(os.getpid(), signal.SIGKILL)
        if moment == "while it answers":
            # Larger than what a pipe holds, so that the answer is being written when the kill comes
            features["large"] = torch.zeros(len(features["sentence_embedding"]), 4_000_000)
            threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return features

    def save(self, output_path, *args, **kwargs):
        self.save_config(output_path)
"""


@pytest.mark.parametrize("moment", ["before it answers", "while it answers"])
def test_a_worker_killed_while_it_encodes_is_an_error_and_no_hang(tiny_bert, tmp_path, monkeypatch, moment):
    (tmp_path / "kills_itself.py").write_text(KILLS_ITSELF)
    monkeypatch.syspath_prepend(tmp_path)
    own_module = importlib.import_module("kills_itself").KillsItself()
    own = SentenceTransformer(modules=[Transformer(tiny_bert), Pooling(32), own_module], device="cpu")
    pool = own.start_multi_process_pool(["cpu", "cpu"])
    try:
        own.encode(TEXTS, pool=pool)
        with pytest.raises(errors.WorkerFailed, match="workers ended"):
            own.encode(TEXTS, pool=pool, moment=moment, output_value=None)
    finally:
        own.stop_multi_process_pool(pool)


def test_cut_inputs_are_counted_in_all_workers(model, pool, caplog):
    model.encode([*TEXTS, *["sort a list " * 50] * 3], pool=pool, chunk_size=2)
    assert "3 of 56 inputs are longer than 64 tokens and were cut" in caplog.text


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
