"""Run transformers by ONNX Runtime or OpenVINO instead of torch, and write optimised or 8-bit files.

``SentenceTransformer(path, backend="onnx")`` loads ``onnx/model.onnx`` of a folder, or exports the torch
model on the fly. The packages come with the extras ``onnx`` and ``openvino``.
"""

from __future__ import annotations

from stlib.backend.load import load_backend_model, load_onnx_model, load_openvino_model
from stlib.backend.optimize import export_optimized_onnx_model
from stlib.backend.quantize import (
    export_dynamic_quantized_onnx_model,
    export_static_quantized_openvino_model,
)
from stlib.backend.utils import backend_should_export, backend_warn_to_save, save_or_push_to_hub_model

__all__ = [
    "backend_should_export",
    "backend_warn_to_save",
    "export_dynamic_quantized_onnx_model",
    "export_optimized_onnx_model",
    "export_static_quantized_openvino_model",
    "load_backend_model",
    "load_onnx_model",
    "load_openvino_model",
    "save_or_push_to_hub_model",
]
