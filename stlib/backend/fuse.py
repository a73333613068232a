"""Rewrite an exported graph with the fused operations of ONNX Runtime, and check that it still computes the
same.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from stlib.backend.export import difference, example
from stlib.backend.files import external_data
from stlib.extras import require

logger = logging.getLogger(__name__)

# Families whose layers are those of BERT, as ONNX Runtime's optimiser sees them.
_LIKE_BERT = {
    "bert",
    "roberta",
    "xlm-roberta",
    "distilbert",
    "camembert",
    "electra",
    "mpnet",
    "albert",
    "ernie",
    "nomic_bert",
}

# Graphs above this many bytes keep their weights in a file beside them: 2 GB are the most that a protobuf
# message holds.
MAX_BYTES = 2**31 - 2**20

_MICROSOFT = "com.microsoft"
_ATTENTION = {"Attention", "MultiHeadAttention", "QAttention"}


def fuse_layers(
    source: Path, target: Path, config: Any, for_gpu: bool = False, fast_gelu: bool = False
) -> None:
    """Fuse attention, GELU and layer normalisation; other graphs get ONNX Runtime's own rewriting.

    For a CPU, attention becomes ``MultiHeadAttention``, in two forms: when no input of a batch is padded the
    form without a mask runs, which is the quicker kernel. The sum and normalisation between layers are left
    as two operations, which are quicker there than the fused one.

    Args:
        source: ONNX file of 32-bit floats.
        target: file to write.
        config: the transformers configuration.
        for_gpu: the forms that GPUs run best.
        fast_gelu: approximate GELU by tanh.
    """
    optimizer = require("onnxruntime.transformers.optimizer", "onnx")
    if is_fused(source) or getattr(config, "model_type", None) not in _LIKE_BERT:
        rewrite_basic(source, target, extended=True)
        if fast_gelu:
            _approximate_gelu(target)
        return
    heads, width = _heads_and_width(config)
    model = optimizer.optimize_model(
        str(source),
        model_type="bert",
        num_heads=heads,
        hidden_size=width,
        optimization_options=_options(for_gpu, fast_gelu),
        opt_level=0,
        use_gpu=for_gpu,
    )
    if not for_gpu:
        _skip_masks_of_ones(model.model)
    _save(model.model, target)
    worst = error_between(source, target, config)
    if worst > (3e-2 if fast_gelu else 1e-4):
        logger.warning("fusing the layers would change results by %.1e; the graph is only simplified", worst)
        rewrite_basic(source, target, extended=True)


def rewrite_basic(source: Path, target: Path, extended: bool = False) -> None:
    """What ONNX Runtime does for itself at load: folded constants, no superfluous nodes, simple fusions."""
    ort = require("onnxruntime", "onnx")
    options = ort.SessionOptions()
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_EXTENDED if extended else levels.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 3
    _data_of(target).unlink(missing_ok=True)
    if source.stat().st_size >= MAX_BYTES or external_data(source):
        options.add_session_config_entry(
            "session.optimized_model_external_initializers_file_name", _data_of(target).name
        )
    ort.InferenceSession(
        str(source), options, providers=["CPUExecutionProvider"], disabled_optimizers=["SkipLayerNormFusion"]
    )


def is_fused(path: Path) -> bool:
    """Whether a file has fused attention already."""
    onnx = require("onnx", "onnx")
    nodes = onnx.load(str(path), load_external_data=False).graph.node
    return any(node.op_type in _ATTENTION and node.domain == _MICROSOFT for node in nodes)


def to_half(source: Path, target: Path) -> None:
    """Write a copy whose weights and arithmetic are 16-bit floats; inputs and outputs keep their types."""
    onnx_model = require("onnxruntime.transformers.onnx_model", "onnx")
    onnx = require("onnx", "onnx")
    model = onnx_model.OnnxModel(onnx.load(str(source)))
    model.convert_float_to_float16(keep_io_types=True)
    _save(model.model, target)


def error_between(first: Path, second: Path, config: Any) -> float:
    """Largest relative difference between two files on random inputs with and without padding."""
    ort = require("onnxruntime", "onnx")
    sessions = [
        ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]) for path in (first, second)
    ]
    names = [value.name for value in sessions[0].get_inputs()]
    worst = 0.0
    for rows, length in ((1, 7), (3, 16)):
        sample = {name: value.numpy() for name, value in example(names, config, rows, length).items()}
        before, after = (session.run(None, sample)[0] for session in sessions)
        mask = sample.get("attention_mask", np.ones((rows, length)))
        worst = max(worst, difference(before, after, mask))
    return worst


def _options(for_gpu: bool, fast_gelu: bool) -> Any:
    fusion = require("onnxruntime.transformers.fusion_options", "onnx")
    options = fusion.FusionOptions("bert")
    options.enable_gelu_approximation = fast_gelu
    if not for_gpu:
        options.use_multi_head_attention = True
        # The mask itself, which is right for padding on either side; not the lengths.
        options.attention_mask_format = fusion.AttentionMaskFormat.AttentionMask
        options.enable_skip_layer_norm = False
        options.enable_bias_skip_layer_norm = False
        options.enable_embed_layer_norm = False
        # Quantised products add the bias themselves.
        options.enable_bias_gelu = False
    return options


def _heads_and_width(config: Any) -> tuple[int, int]:
    heads = getattr(config, "num_attention_heads", None) or getattr(config, "n_heads", None) or 0
    width = getattr(config, "hidden_size", None) or getattr(config, "dim", None) or 0
    return int(heads), int(width)


def _skip_masks_of_ones(model: Any) -> None:
    """Replace attention by a choice between its forms with and without the mask, taken as the graph runs."""
    helper = require("onnx.helper", "onnx")
    types = require("onnx", "onnx").TensorProto
    nodes: list[Any] = []
    flags: dict[str, str] = {}
    for node in model.graph.node:
        mask = node.input[4] if node.op_type == "MultiHeadAttention" and len(node.input) > 4 else ""
        if not mask:
            nodes.append(node)
            continue
        if mask not in flags:
            flags[mask] = f"{mask}_all_ones"
            nodes.append(helper.make_node("ReduceMin", [mask], [f"{mask}_least"], keepdims=0))
            nodes.append(helper.make_node("Cast", [f"{mask}_least"], [flags[mask]], to=types.BOOL))
        branches = {"then_branch": _branch(node, False), "else_branch": _branch(node, True)}
        nodes.append(
            helper.make_node("If", [flags[mask]], [node.output[0]], name=f"{node.name}_if", **branches)
        )
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _branch(node: Any, with_mask: bool) -> Any:
    helper = require("onnx.helper", "onnx")
    onnx = require("onnx", "onnx")
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    suffix = "masked" if with_mask else "whole"
    copy.name = f"{node.name}_{suffix}"
    copy.output[0] = f"{node.output[0]}_{suffix}"
    if not with_mask:
        copy.input[4] = ""
    result = helper.make_tensor_value_info(copy.output[0], onnx.TensorProto.FLOAT, None)
    return helper.make_graph([copy], copy.name, [], [result])


def _approximate_gelu(path: Path) -> None:
    onnx = require("onnx", "onnx")
    model = onnx.load(str(path))
    for node in model.graph.node:
        if node.op_type in ("Gelu", "BiasGelu") and node.domain == _MICROSOFT:
            node.op_type = "FastGelu"
    _save(model, path)


def _save(model: Any, path: Path) -> None:
    """Write a graph; beyond the 2 GB of one protobuf message, the weights go into a file beside it."""
    onnx = require("onnx", "onnx")
    if all(known.domain != _MICROSOFT for known in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid(_MICROSOFT, 1))
    large = model.ByteSize() >= MAX_BYTES
    _data_of(path).unlink(missing_ok=True)  # writing would append to it
    onnx.save(
        model,
        str(path),
        save_as_external_data=large,
        all_tensors_to_one_file=True,
        location=_data_of(path).name if large else None,
    )


def _data_of(path: Path) -> Path:
    """The file for weights beside a graph."""
    return path.with_name(f"{path.name}_data")
