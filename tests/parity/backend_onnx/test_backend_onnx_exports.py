"""Optimised and quantised ONNX files: what they compute, how they are named and where they lie."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from stlib import SentenceTransformer
from stlib.backend import export_dynamic_quantized_onnx_model, export_optimized_onnx_model
from stlib.errors import InvalidOption

pytestmark = pytest.mark.parity


def test_optimised_model_is_saved_under_its_name(loaded, saved, tmp_path, torch_vectors, caplog, texts, load):
    folder = shutil.copytree(saved, tmp_path / "optimised")
    export_optimized_onnx_model(loaded, "O2", str(folder), file_suffix="again")
    load(folder, file_name="model_again.onnx").save(tmp_path / "copy")
    assert [path.name for path in (tmp_path / "copy" / "onnx").iterdir()] == ["model_again.onnx"]
    np.testing.assert_allclose(load(tmp_path / "copy").encode(texts), torch_vectors, atol=1e-5)
    assert "several files" not in caplog.text


@pytest.mark.parametrize(("level", "tolerance"), [("O1", 1e-5), ("O2", 1e-5), ("O3", 2e-2), ("O4", 5e-2)])
def test_optimised_files_compute_the_same(
    loaded, saved, tmp_path, torch_vectors, level, tolerance, texts, load
):
    folder = shutil.copytree(saved, tmp_path / "optimised")
    export_optimized_onnx_model(loaded, level, str(folder))
    vectors = load(folder, file_name=f"model_{level}.onnx").encode(texts)
    np.testing.assert_allclose(vectors, torch_vectors, atol=tolerance * np.abs(torch_vectors).max())


@pytest.mark.parametrize("level", ["O1", "O2", "O3", "O4"])
def test_weights_beside_optimised_graphs_go_with_them(
    saved, tmp_path, torch_vectors, level, monkeypatch, texts, load
):
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
    vectors = load(folder, file_name=name).encode(texts)
    tolerance = {"O3": 2e-2, "O4": 5e-2}.get(level, 1e-5)
    np.testing.assert_allclose(vectors, torch_vectors, atol=tolerance * np.abs(torch_vectors).max())


def test_half_graphs_hold_nothing_of_the_graph_in_32_bits(loaded, tmp_path):
    export_optimized_onnx_model(loaded, "O4", str(tmp_path))
    import onnx

    (path,) = (tmp_path / "onnx").iterdir()
    types = {tensor.data_type for tensor in onnx.load(path).graph.initializer}
    assert onnx.TensorProto.FLOAT16 in types and onnx.TensorProto.FLOAT not in types


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
def test_quantised_files_are_close(loaded, tmp_path, torch_vectors, config, file_name, texts, load, cosines):
    export_dynamic_quantized_onnx_model(loaded, config, str(tmp_path))
    loaded.save_pretrained(tmp_path)
    vectors = load(tmp_path, file_name=f"onnx/{file_name}").encode(texts)
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
