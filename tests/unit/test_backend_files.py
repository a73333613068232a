"""Which files beside an exported model hold weights of it, wherever its graph names them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from stlib.backend.files import external_data
from stlib.errors import MissingModelFile, ModelConfigError, UnsafePath
from stlib.runtime.modules.onnx_files import external_files


def outside(location: str) -> onnx.TensorProto:
    """Two numbers in another file."""
    kind = onnx.TensorProto
    tensor = kind(name="far", dims=[2], data_type=kind.FLOAT, data_location=kind.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def in_graph(graph: onnx.GraphProto, location: str) -> None:
    graph.initializer.append(outside(location))


def in_values(graph: onnx.GraphProto, location: str) -> None:
    graph.sparse_initializer.append(onnx.SparseTensorProto(values=outside(location), dims=[8]))


def in_indices(graph: onnx.GraphProto, location: str) -> None:
    graph.sparse_initializer.append(onnx.SparseTensorProto(indices=outside(location), dims=[8]))


def in_attribute(graph: onnx.GraphProto, location: str) -> None:
    node = onnx.helper.make_node("Constant", [], ["far"], value=outside(location))
    graph.node.append(node)


def in_sparse_attribute(graph: onnx.GraphProto, location: str) -> None:
    sparse = onnx.SparseTensorProto(values=outside(location), dims=[8])
    attribute = onnx.AttributeProto(
        name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR, sparse_tensor=sparse
    )
    graph.node.append(onnx.NodeProto(op_type="Constant", output=["far"], attribute=[attribute]))


def in_branch(graph: onnx.GraphProto, location: str) -> None:
    branch = onnx.GraphProto(name="branch")
    in_values(branch, location)
    node = onnx.helper.make_node("If", ["yes"], ["out"], then_branch=branch, else_branch=branch)
    graph.node.append(node)


PLACES = [in_graph, in_values, in_indices, in_attribute, in_sparse_attribute, in_branch]


@pytest.mark.parametrize("put", PLACES)
def test_weights_are_found_wherever_a_graph_names_them(
    tmp_path: Path, put: Callable[[onnx.GraphProto, str], None]
) -> None:
    path = tmp_path / "model.onnx"

    def save(*locations: str) -> None:
        graph = onnx.GraphProto(name="graph")
        for location in locations:
            put(graph, location)
        path.write_bytes(onnx.ModelProto(ir_version=8, graph=graph).SerializeToString())

    save("weights/b", "a", "a")
    with pytest.raises(MissingModelFile, match="keeps weights in 'a', which is missing"):
        external_data(path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "b").touch()
    (tmp_path / "a").touch()
    assert external_data(path) == ["a", "weights/b"]
    assert external_files(path) == [tmp_path / "a", tmp_path / "weights" / "b"]
    for location in ("../secret", "/etc/passwd", "C:\\secret"):
        save(location)
        with pytest.raises(UnsafePath, match="leaves the model's folder"):
            external_data(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "is empty"), (b"garbage", "cannot be loaded"), (b"\xff" * 99, "cannot be loaded")],
)
def test_a_damaged_graph_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelConfigError, match=rf"model\.onnx {said}"):
        external_data(path)
