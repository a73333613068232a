"""Damaged and hostile folders of transformers: what leaves them, or is code, is refused and named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stlib.runtime import Encoder, InvalidModelError, ModelError, UnsupportedModelError
from stlib.runtime.folder import read_pipeline
from stlib.runtime.modules.onnx_files import external_files


def external(colours: Any, location: str, inside_of: str = "graph") -> onnx.ModelProto:
    """A model that names a place of weights, at its top or inside a branch of an ``If``."""
    tensor = TensorProto(
        name="far", dims=[8, 3], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL
    )
    tensor.external_data.add(key="location", value=location)
    model = colours.graph()
    if inside_of == "graph":
        model.graph.initializer.append(tensor)
        return model
    branch = helper.make_graph(
        [helper.make_node("Identity", ["far"], ["out"])],
        "branch",
        [],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, (8, 3))],
        [tensor],
    )
    condition = numpy_helper.from_array(np.array(True), "yes")
    model.graph.initializer.append(condition)
    node = helper.make_node("If", ["yes"], ["chosen"], then_branch=branch, else_branch=branch)
    model.graph.node.append(node)
    return model


@pytest.mark.parametrize("inside_of", ["graph", "branch"])
@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "weights/../../secret", "C:\\secret"])
def test_weights_outside_the_folder_are_refused(
    tmp_path: Path, location: str, inside_of: str, colours: Any
) -> None:
    (tmp_path / "secret.bin").write_bytes(b"\0" * 96)
    folder = colours.save_model(tmp_path / "m", external(colours, location, inside_of), file="model.onnx")
    with pytest.raises(InvalidModelError, match=r"model.onnx: the path .* lies outside the model's folder"):
        Encoder.load(folder)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 200, None])
def test_a_damaged_onnx_file_is_named(folder: Path, content: bytes | None) -> None:
    path = folder / "onnx" / "model.onnx"
    path.write_bytes(path.read_bytes()[:-20] if content is None else content)
    with pytest.raises(InvalidModelError, match=r"onnx/model\.onnx.*export the model again"):
        Encoder.load(folder)


def test_an_onnx_file_with_flipped_bits_is_read_or_refused(folder: Path) -> None:
    path = folder / "onnx" / "model.onnx"
    whole = path.read_bytes()
    dice = np.random.default_rng(9)
    refused = 0
    for _ in range(300):
        content = bytearray(whole[: dice.integers(1, len(whole) + 1)])
        for place in dice.integers(0, len(content), 3):
            content[place] ^= 1 << dice.integers(0, 8)
        path.write_bytes(content)
        try:
            external_files(path)
        except ModelError:
            refused += 1
    assert 0 < refused < 300


@pytest.mark.parametrize(
    "type_", ["os.system", "my_package.models.Pooling", "owner/repo--file.Pooling", "Pooling"]
)
def test_a_class_of_another_package_is_never_taken_for_ours(folder: Path, type_: str, colours: Any) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["type"] = type_
    colours.write(folder / "modules.json", modules)
    with pytest.raises(UnsupportedModelError, match=r"needs stlib.SentenceTransformer"):
        Encoder.load(folder)


@pytest.mark.parametrize("name", ["os.system", "torch.load", "torch.nn.Linear", "builtins.eval", "Tanh"])
def test_an_activation_outside_the_list_is_refused(tmp_path: Path, name: str, colours: Any) -> None:
    folder = colours.save_model(tmp_path / "m", kinds=("Transformer", "Pooling", "Dense"))
    colours.save_dense(folder, "2_Dense", {"activation_function": name})
    with pytest.raises(UnsupportedModelError, match=f"activation function '{name}' is not one of torch's"):
        Encoder.load(folder)


@pytest.mark.parametrize("name", ["..", "../elsewhere", "", ".", "/etc"])
def test_a_route_may_not_leave_its_folder_nor_hold_itself(tmp_path: Path, name: str, colours: Any) -> None:
    folder = colours.save_router(tmp_path / "m", {name: "stlib.models.Router"}, {"query": [name]})
    with pytest.raises(InvalidModelError, match=r"lies outside|needs a folder of its own"):
        read_pipeline(folder)
