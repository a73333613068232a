"""Sessions of ONNX Runtime: their options, threads and processes, and models that are copied or pickled."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import pickle
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from stlib.errors import InvalidOption, MissingDependency

pytestmark = pytest.mark.parity


def test_unknown_provider_names_those_that_there_are(saved, load):
    with pytest.raises(InvalidOption, match=r"TpuExecutionProvider.*CPUExecutionProvider"):
        load(saved, provider="TpuExecutionProvider")


def test_own_session_options_are_used(saved, torch_vectors, texts, load):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = load(saved, provider="CPUExecutionProvider", session_options=options)
    assert model.transformers_model.session.get_session_options().intra_op_num_threads == 1
    np.testing.assert_allclose(model.encode(texts), torch_vectors, atol=1e-5)


@pytest.mark.usefixtures("several_threads")
def test_a_replaced_file_does_not_reach_a_loaded_model(saved, tmp_path, torch_vectors, texts, load):
    folder = shutil.copytree(saved, tmp_path / "replaced")
    model = load(folder)
    model.encode("one text, so that no session for batches is open")
    (folder / "onnx" / "model.onnx").unlink()
    (folder / "onnx" / "model.onnx").write_bytes(b"no graph")
    np.testing.assert_allclose(model.encode(texts * 20)[: len(texts)], torch_vectors, atol=1e-5)


def test_copies_and_pickles_work(loaded, torch_vectors, texts):
    for other in (copy.deepcopy(loaded), pickle.loads(pickle.dumps(loaded))):
        np.testing.assert_allclose(other.encode(texts), torch_vectors, atol=1e-5)


@pytest.mark.usefixtures("several_threads")
def test_threads_that_come_at_once_open_one_session_for_batches(saved, load):
    model = load(saved).transformers_model
    started = threading.Barrier(4)

    def first(_):
        started.wait()
        return model._for_parts()

    with ThreadPoolExecutor(4) as threads:
        assert len({id(part) for pair in threads.map(first, range(4)) for part in pair}) == 2


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
@pytest.mark.usefixtures("several_threads")
def test_a_forked_process_runs_batches(saved, texts, load):
    model = load(saved)
    inner = model.transformers_model
    tokens = model.tokenize(texts * 20)
    inputs = {name: tokens[name].numpy() for name in inner.input_names}
    expected = inner.run(inputs)
    inner._lock.acquire()  # as another thread may have it at the moment of the fork
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=lambda: theirs.send(inner.run(inputs)))
    process.start()
    inner._lock.release()
    try:
        assert ours.poll(60), "the forked process waits for threads that it does not have"
        np.testing.assert_allclose(ours.recv(), expected, atol=1e-6)
    finally:
        process.kill()
        process.join()


def test_batches_run_after_the_main_thread_has_ended(saved, tmp_path, torch_vectors, texts):
    script = f"""
import threading
import numpy as np
import torch
from stlib import SentenceTransformer

torch.set_num_threads(2)
model = SentenceTransformer({str(saved)!r}, backend="onnx", device="cpu")

def late():
    threading.main_thread().join()
    vectors = model(model.tokenize({texts!r} * 20))["sentence_embedding"]
    np.save({str(tmp_path / "late.npy")!r}, vectors.numpy())

threading.Thread(target=late).start()
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "Traceback" not in result.stderr, result.stderr
    np.testing.assert_allclose(np.load(tmp_path / "late.npy")[: len(texts)], torch_vectors, atol=1e-5)


def test_copies_of_an_exported_model_outlive_it(tiny_bert, tmp_path, torch_vectors, texts, load):
    model = load(Path(tiny_bert))
    folder = model.transformers_model.path.parent
    other = copy.deepcopy(model)
    del model
    gc.collect()
    other.save(tmp_path / "saved")
    np.testing.assert_allclose(load(tmp_path / "saved").encode(texts), torch_vectors, atol=1e-5)
    assert other.transformers_model.path.parent == folder
    del other
    gc.collect()
    assert not folder.exists()


def test_a_pickled_exported_model_outlives_it(tiny_bert, tmp_path, texts, load):
    """Another process reads the pickle when the exported files are gone; its own go with it."""
    model = load(Path(tiny_bert))
    expected = model.encode(texts)
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(model))
    del model
    gc.collect()
    script = f"""
import pickle
import numpy as np

model = pickle.load(open({str(tmp_path / "model.pickle")!r}, "rb"))
np.save({str(tmp_path / "vectors.npy")!r}, model.encode({texts!r}))
model.save({str(tmp_path / "saved")!r})
print(model.transformers_model.path)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    np.testing.assert_allclose(np.load(tmp_path / "vectors.npy"), expected, atol=1e-5)
    assert (tmp_path / "saved" / "onnx" / "model.onnx").is_file()
    folder = Path(result.stdout.strip()).parent
    assert folder.name.startswith("stlib-export-")
    assert not folder.exists()


def test_missing_package_names_the_extra(saved, monkeypatch, load):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependency, match=r"pip install onnxruntime onnx onnxscript"):
        load(saved)
