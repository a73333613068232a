"""Folders of models run by ONNX Runtime: their files, which one is loaded, and those that are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from stlib import SentenceTransformer
from stlib.errors import MissingModelFile, ModelConfigError, UnsafePath

pytestmark = pytest.mark.parity


def test_saved_folder_has_the_files_of_the_reference(saved):
    files = {path.relative_to(saved).as_posix() for path in saved.rglob("*") if path.is_file()}
    assert {"modules.json", "config.json", "onnx/model.onnx", "1_Pooling/config.json"} <= files
    assert not [name for name in files if name.endswith((".safetensors", ".bin"))]


def test_folder_with_only_a_graph_loads(saved, tmp_path, torch_vectors, texts, load):
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(saved / name, tmp_path / name)
    shutil.copy(saved / "onnx" / "model.onnx", tmp_path / "model.onnx")
    np.testing.assert_allclose(load(tmp_path).encode(texts), torch_vectors, atol=1e-5)


def test_torch_names_the_backend_of_a_folder_without_weights(saved):
    with pytest.raises(MissingModelFile, match="load it with backend='onnx'"):
        SentenceTransformer(str(saved), device="cpu")


def test_file_in_the_root_comes_before_that_in_onnx(saved, tmp_path, caplog, load):
    folder = shutil.copytree(saved, tmp_path / "both")
    shutil.copy(folder / "onnx" / "model.onnx", folder / "model.onnx")
    assert load(folder).transformers_model.path == folder / "model.onnx"
    assert "several files: model.onnx, onnx/model.onnx" in caplog.text


def test_several_files_without_the_default_name_give_the_first(saved, tmp_path, caplog, load):
    folder = shutil.copytree(saved, tmp_path / "named")
    shutil.copy(folder / "onnx" / "model.onnx", folder / "onnx" / "b.onnx")
    (folder / "onnx" / "model.onnx").rename(folder / "onnx" / "a.onnx")
    assert load(folder).transformers_model.path.name == "a.onnx"
    assert "onnx/a.onnx is loaded" in caplog.text


def test_missing_file_names_those_that_there_are(saved, load):
    with pytest.raises(MissingModelFile, match=r"no 'model_O9\.onnx' .*onnx/model\.onnx"):
        load(saved, file_name="model_O9.onnx")


def test_export_can_be_forbidden_and_forced(tiny_bert, torch_vectors, texts, load):
    with pytest.raises(MissingModelFile, match=r"has no 'model\.onnx'"):
        load(Path(tiny_bert), export=False)
    model = load(Path(tiny_bert), export=True)
    np.testing.assert_allclose(model.encode(texts), torch_vectors, atol=1e-5)


def test_file_outside_of_the_folder_is_refused(saved, load):
    with pytest.raises(UnsafePath, match="leaves the model"):
        load(saved, file_name="../model.onnx")


def test_weights_beside_the_graph_load_and_are_saved_again(saved, tmp_path, torch_vectors, texts, load):
    import onnx

    folder = shutil.copytree(saved, tmp_path / "external")
    graph = folder / "onnx" / "model.onnx"
    onnx.save(
        onnx.load(graph), graph, save_as_external_data=True, location="model.onnx_data", size_threshold=0
    )
    model = load(folder)
    model.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / "onnx" / "model.onnx_data").is_file()
    np.testing.assert_allclose(load(tmp_path / "again").encode(texts), torch_vectors, atol=1e-5)


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd"])
def test_weights_outside_of_the_folder_are_refused(saved, tmp_path, place, load):
    import onnx

    folder = shutil.copytree(saved, tmp_path / "escaping")
    graph = onnx.load(folder / "onnx" / "model.onnx")
    tensor = graph.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, location=place)
    tensor.ClearField("raw_data")
    (folder / "onnx" / "model.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(UnsafePath, match="leaves the model"):
        load(folder)


def test_damaged_file_is_named(saved, tmp_path, load):
    folder = shutil.copytree(saved, tmp_path / "damaged")
    graph = folder / "onnx" / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:5000])
    with pytest.raises(ModelConfigError, match=r"model\.onnx cannot be loaded"):
        load(folder)
    graph.write_bytes(b"")
    with pytest.raises(ModelConfigError, match="is empty"):
        load(folder)
