"""Batches, threads and fresh processes do not change a vector of the torch-free Encoder."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from stlib.models import Dense, Normalize

pytestmark = pytest.mark.parity


def test_order_neighbours_and_batch_size_do_not_change_a_vector(tiny_bert, both, pooled):
    _, light = both(*pooled(tiny_bert))
    texts = [" ".join(["fox", "dog", "word", "list"][: i % 4 + 1] * (i % 13)) for i in range(300)]
    expected = np.concatenate([light.encode([text]) for text in texts])
    order = np.random.default_rng(8).permutation(len(texts))
    np.testing.assert_allclose(light.encode(texts), expected, atol=1e-5)
    np.testing.assert_allclose(light.encode(texts, batch_size=7), expected, atol=1e-5)
    np.testing.assert_allclose(light.encode([texts[i] for i in order]), expected[order], atol=1e-5)
    assert light.encode([]).shape == (0, 32)


def test_threads_share_one_encoder(tiny_bert, both, texts, pooled):
    _, light = both(*pooled(tiny_bert))
    many = [texts[i % len(texts)] + f" {i}" for i in range(60)]
    expected = [light.encode([text]) for text in many]
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda text: light.encode([text]), many))
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(expected), atol=1e-6)


def test_a_fresh_process_never_imports_torch(tiny_bert, both, tmp_path, pooled):
    both(*pooled(tiny_bert), Dense(32, 8), Normalize())
    code = (
        "import sys; from stlib.runtime import Encoder; e = Encoder.load(sys.argv[1]); "
        "e.encode_query(['fox']); e.token_spans(['fox']); e.fingerprint; "
        "print(sorted({'torch', 'transformers', 'onnx', 'sklearn'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "model")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
