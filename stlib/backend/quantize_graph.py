"""8-bit weights for an ONNX graph: matrices by ONNX Runtime, embedding tables row by row."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stlib.backend.fuse import fuse_layers
from stlib.errors import InvalidOption
from stlib.extras import require

# Tables with fewer values are left alone: there is nothing to save.
_SMALL_TABLE = 2**16

_FIELDS = (
    "weights_dtype",
    "per_channel",
    "reduce_range",
    "operators_to_quantize",
    "nodes_to_exclude",
    "is_static",
)


@dataclass(frozen=True)
class DynamicQuantization:
    """How weights become 8-bit; activations are quantised as the graph runs.

    Args:
        signed: weights are int8, else uint8.
        per_channel: a scale for each output of a layer rather than one for the whole matrix.
        reduce_range: use 7 bits, on processors whose 8-bit products would overflow.
        operators: kinds of operations to quantise.
        exclude: names of operations to leave as they are.
    """

    signed: bool = True
    per_channel: bool = True
    reduce_range: bool = False
    operators: tuple[str, ...] = ("MatMul", "Gather")
    exclude: tuple[str, ...] = ()

    @property
    def dtype_name(self) -> str:
        """As it appears in file names."""
        return "qint8" if self.signed else "quint8"


# AVX-512 without VNNI adds pairs of products in 16 bits, which overflow unless weights keep to 7 bits.
PRESETS = {
    "arm64": DynamicQuantization(),
    "avx2": DynamicQuantization(signed=False),
    "avx512": DynamicQuantization(reduce_range=True),
    "avx512_vnni": DynamicQuantization(),
}


def settings_of(config: Any) -> DynamicQuantization:
    """Settings from a preset's name, a dict, or an object with the attributes of Optimum's configuration.

    Raises:
        InvalidOption: an unknown name or key, or static quantisation, which needs calibration.
    """
    if isinstance(config, DynamicQuantization):
        return config
    if isinstance(config, str):
        if config not in PRESETS:
            raise InvalidOption(
                f"quantization_config {config!r} is unknown; use one of: {', '.join(PRESETS)}, or a "
                "configuration object"
            )
        return PRESETS[config]
    values = dict(config) if isinstance(config, dict) else _attributes(config)
    unknown = sorted(set(values) - set(_FIELDS))
    if unknown or not values:
        raise InvalidOption(
            f"quantization_config has unknown entries: {', '.join(unknown) or 'none known'}; it takes: "
            f"{', '.join(_FIELDS)}"
        )
    if values.get("is_static"):
        raise InvalidOption(
            "quantization_config has is_static=True; dynamic quantisation takes no calibration"
        )
    weights = values.get("weights_dtype", "qint8")
    name = str(getattr(weights, "name", weights)).lower()
    if name not in ("qint8", "int8", "quint8", "uint8"):
        raise InvalidOption(f"weights_dtype is {weights!r}; use 'qint8' or 'quint8'")
    return DynamicQuantization(
        signed="u" not in name,
        per_channel=bool(values.get("per_channel", True)),
        reduce_range=bool(values.get("reduce_range", False)),
        operators=tuple(values.get("operators_to_quantize") or ("MatMul", "Gather")),
        exclude=tuple(values.get("nodes_to_exclude") or ()),
    )


def quantize_graph(source: Path, target: Path, settings: DynamicQuantization, config: Any) -> None:
    """Write an 8-bit copy of a graph of 32-bit floats.

    Layers are fused first: that costs nothing, and the result runs quicker on a CPU.
    """
    quantization = require("onnxruntime.quantization", "onnx")
    onnx = require("onnx", "onnx")
    weight_type = quantization.QuantType.QInt8 if settings.signed else quantization.QuantType.QUInt8
    with tempfile.TemporaryDirectory() as work:
        fused = Path(work) / "fused.onnx"
        fuse_layers(source, fused, config)
        model = onnx.load(str(fused))
        if "Gather" in settings.operators:
            _quantize_tables(model)
        quantization.quantize_dynamic(
            model,
            str(target),
            op_types_to_quantize=[name for name in settings.operators if name != "Gather"],
            per_channel=settings.per_channel,
            reduce_range=settings.reduce_range,
            weight_type=weight_type,
            nodes_to_exclude=list(settings.exclude),
            use_external_data_format=model.ByteSize() >= 2**31,
            extra_options={
                # Fused operations do not tell their types.
                "DefaultTensorType": onnx.TensorProto.FLOAT,
                # Products of two activations, inside attention, stay in floats.
                "MatMulConstBOnly": True,
            },
        )


def _attributes(config: Any) -> dict[str, Any]:
    return {name: getattr(config, name) for name in _FIELDS if hasattr(config, name)}


def _quantize_tables(model: Any) -> None:
    """Store large tables that are only looked up (embeddings) as int8 with one scale for each row.

    A scale for the whole table, which ONNX Runtime would take, is set by the longest vector in it and coarse
    for all others.
    """
    onnx = require("onnx", "onnx")
    helper = require("onnx.helper", "onnx")
    numpy_helper = require("onnx.numpy_helper", "onnx")
    tables = {t.name: t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT}
    uses: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            uses.setdefault(name, []).append(node)
    chosen = {
        name: table
        for name, table in tables.items()
        if len(table.dims) == 2
        and table.dims[0] * table.dims[1] >= _SMALL_TABLE
        and all(node.op_type == "Gather" and node.input[0] == name for node in uses.get(name, ()))
    }
    for name, table in chosen.items():
        codes, scales = _rows_to_int8(numpy_helper.to_array(table))
        model.graph.initializer.remove(table)
        model.graph.initializer.extend(
            [
                numpy_helper.from_array(codes, f"{name}_int8"),
                numpy_helper.from_array(scales, f"{name}_scales"),
            ]
        )
    nodes = []
    for node in model.graph.node:
        if node.op_type == "Gather" and node.input[0] in chosen:
            nodes += _look_up(helper, onnx, node)
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _rows_to_int8(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes ``[rows, d]`` and scales ``[rows, 1]``; value = code * scale."""
    scales = np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-12).astype(np.float32) / 127
    return np.rint(table / scales).astype(np.int8), scales


def _look_up(helper: Any, onnx: Any, node: Any) -> list[Any]:
    """Nodes that gather codes and scales of the rows and multiply them."""
    table, ids = node.input[0], node.input[1]
    name = node.output[0]
    return [
        helper.make_node("Gather", [f"{table}_int8", ids], [f"{name}_codes"], axis=0),
        helper.make_node("Cast", [f"{name}_codes"], [f"{name}_rounded"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Gather", [f"{table}_scales", ids], [f"{name}_scale"], axis=0),
        helper.make_node("Mul", [f"{name}_rounded", f"{name}_scale"], [name]),
    ]
