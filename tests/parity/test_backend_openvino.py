"""Models run by OpenVINO give what torch gives, and their folders are those of the reference."""

from __future__ import annotations

import copy
import gc
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("openvino", reason="OpenVINO is missing; run: pip install '.[openvino]'")

from stlib import SentenceTransformer
from stlib.backend import export_static_quantized_openvino_model, load_openvino_model
from stlib.errors import InvalidOption, MissingDependency, MissingModelFile, ModelConfigError

pytestmark = [
    pytest.mark.parity,
    # openvino and nncf warn about their own internals
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

TEXTS = ["how do i sort a list?", "the quick brown fox jumps. " * 8, "", "a passage of a document"]


@pytest.fixture(scope="module")
def torch_vectors(tiny_bert):
    return SentenceTransformer(tiny_bert, device="cpu").encode(TEXTS)


@pytest.fixture(scope="module")
def exported(tiny_bert) -> SentenceTransformer:
    return SentenceTransformer(tiny_bert, backend="openvino", device="cpu")


@pytest.fixture(scope="module")
def saved(exported, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("openvino") / "saved"
    exported.save_pretrained(folder)
    return folder


def load(folder: Path, **model_kwargs) -> SentenceTransformer:
    return SentenceTransformer(str(folder), backend="openvino", device="cpu", model_kwargs=model_kwargs)


def assert_close(vectors: np.ndarray, expected: np.ndarray) -> None:
    # OpenVINO computes in 32 bits by other kernels than torch.
    np.testing.assert_allclose(vectors, expected, atol=1e-4 * np.abs(expected).max())


def test_export_on_the_fly_equals_torch(exported, torch_vectors):
    assert exported.get_backend() == "openvino"
    assert_close(exported.encode(TEXTS), torch_vectors)


def test_saved_folder_has_the_files_of_the_reference_and_loads(saved, torch_vectors):
    files = {path.relative_to(saved).as_posix() for path in saved.rglob("*") if path.is_file()}
    assert {
        "config.json",
        "modules.json",
        "openvino/openvino_model.xml",
        "openvino/openvino_model.bin",
    } <= files
    assert_close(load(saved).encode(TEXTS), torch_vectors)


def test_device_options_are_taken(saved, torch_vectors):
    model = load(saved, device="CPU", ov_config={"INFERENCE_NUM_THREADS": 1})
    assert model.transformers_model.compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert_close(model.encode(TEXTS), torch_vectors)
    with pytest.raises(InvalidOption, match=r"no device 'QPU' here; it has: .*CPU"):
        load(saved, device="QPU")


def test_options_may_be_a_file(saved, tmp_path):
    (tmp_path / "options.json").write_text('{"INFERENCE_NUM_THREADS": 1}', encoding="utf-8")
    model = load(saved, ov_config=str(tmp_path / "options.json"))
    assert model.transformers_model.compiled.get_property("INFERENCE_NUM_THREADS") == 1
    with pytest.raises(InvalidOption, match="path of a JSON file"):
        load(saved, ov_config="nowhere.json")


def test_static_quantisation_is_close(exported, saved, tmp_path, torch_vectors, cosines):
    folder = shutil.copytree(saved, tmp_path / "quantised")
    config = {"dataset": [*TEXTS, "word", "the fox and the dog"], "num_samples": 6}
    export_static_quantized_openvino_model(exported, config, str(folder))
    name = "openvino_model_qint8_quantized.xml"
    vectors = load(folder, file_name=name).encode(TEXTS)
    assert cosines(vectors, torch_vectors).min() > 0.97
    weights = (folder / "openvino" / name).with_suffix(".bin").stat().st_size
    assert weights < 0.6 * (saved / "openvino" / "openvino_model.bin").stat().st_size


def test_settings_that_do_not_fit_are_refused(exported, tiny_bert, tmp_path):
    export = export_static_quantized_openvino_model
    with pytest.raises(InvalidOption, match="go together"):
        export(exported, None, str(tmp_path), dataset_name="nyu-mll/glue")
    with pytest.raises(InvalidOption, match="unknown keys: colour"):
        export(exported, {"colour": 1}, str(tmp_path))
    with pytest.raises(InvalidOption, match="other than 8 bits"):
        export(exported, {"bits": 4}, str(tmp_path))
    with pytest.raises(InvalidOption, match="no texts"):
        export(exported, {"dataset": []}, str(tmp_path))
    with pytest.raises(InvalidOption, match="backend is 'torch'"):
        export(SentenceTransformer(tiny_bert, device="cpu"), None, str(tmp_path))


def test_half_a_model_is_named(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "half")
    (folder / "openvino" / "openvino_model.bin").unlink()
    with pytest.raises(MissingModelFile, match=r"has no openvino_model\.bin beside it"):
        load(folder)


def test_damaged_file_is_named(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "damaged")
    (folder / "openvino" / "openvino_model.xml").write_text("<net", encoding="utf-8")
    with pytest.raises(ModelConfigError, match=r"openvino_model\.xml cannot be loaded"):
        load(folder)


def test_pickles_work(exported, torch_vectors):
    assert_close(pickle.loads(pickle.dumps(exported)).encode(TEXTS), torch_vectors)


def test_load_function(saved):
    import transformers

    model = load_openvino_model(
        str(saved), transformers.AutoConfig.from_pretrained(str(saved)), "feature-extraction"
    )
    features = transformers.AutoTokenizer.from_pretrained(str(saved))(["a list"], return_tensors="pt")
    assert model(**features).last_hidden_state.shape == (1, features["input_ids"].shape[1], 32)


def test_missing_package_names_the_extra(saved, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependency, match=r"pip install openvino nncf"):
        load(saved)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_of_an_exported_model_outlive_it(tiny_bert, tmp_path, torch_vectors, duplicate):
    model = load(Path(tiny_bert))
    other = duplicate(model)
    folders = {each.transformers_model.path.parent for each in (model, other)}
    del model
    gc.collect()
    other.save(tmp_path / "saved")
    assert_close(load(tmp_path / "saved").encode(TEXTS), torch_vectors)
    del other
    gc.collect()
    assert not [folder for folder in folders if folder.exists()]


@pytest.mark.usefixtures("ctrl_c_is_not_ignored")
def test_ctrl_c_after_models_were_let_go_is_a_keyboard_interrupt(saved):
    program = """if True:
        import gc, os, signal, sys, stlib
        load = lambda: stlib.SentenceTransformer(sys.argv[1], backend="openvino", device="cpu")
        first, second = load(), load()
        del first
        gc.collect()
        del second
        gc.collect()
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            print("interrupted")
    """
    ran = subprocess.run([sys.executable, "-c", program, str(saved)], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "interrupted\n"), ran.stderr
