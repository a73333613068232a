"""Sparse encoders run by ONNX Runtime: embeddings, files and smaller graphs."""

from __future__ import annotations

import pytest
import torch

from stlib import SparseEncoder
from stlib.backend import export_dynamic_quantized_onnx_model
from stlib.sparse_encoder.modules import Router, SparseStaticEmbedding, SpladePooling, Transformer

pytestmark = pytest.mark.parity


def test_splade_equals_torch(tiny_mlm, tmp_path, texts):
    expected = SparseEncoder(tiny_mlm, device="cpu").encode(texts).to_dense()
    model = SparseEncoder(tiny_mlm, device="cpu", backend="onnx")
    assert model.get_backend() == "onnx"
    torch.testing.assert_close(model.encode(texts).to_dense(), expected, rtol=1e-4, atol=5e-5)
    model.save(tmp_path / "model")
    assert not list((tmp_path / "model").glob("*.safetensors"))
    loaded = SparseEncoder(tmp_path / "model", device="cpu", backend="onnx")
    torch.testing.assert_close(loaded.encode(texts).to_dense(), expected, rtol=1e-4, atol=5e-5)
    export_dynamic_quantized_onnx_model(loaded, "avx512_vnni", str(tmp_path / "model"))
    small = SparseEncoder(
        tmp_path / "model",
        device="cpu",
        backend="onnx",
        model_kwargs={"file_name": "model_qint8_avx512_vnni.onnx"},
    )
    found = small.encode(texts).to_dense()
    assert torch.cosine_similarity(found, expected).min() > 0.95


def test_routes_of_documents_alone_have_a_graph(tiny_mlm, tmp_path, texts):
    document = Transformer(tiny_mlm, transformer_task="fill-mask")
    weights = torch.rand(len(document.tokenizer))
    router = Router.for_query_document(
        [SparseStaticEmbedding(document.tokenizer, weights)], [document, SpladePooling()]
    )
    model = SparseEncoder(modules=[router], device="cpu")
    model.save(tmp_path)
    graph = SparseEncoder(tmp_path, device="cpu", backend="onnx")
    for method in ("encode_query", "encode_document"):
        expected = getattr(model, method)(texts).to_dense()
        torch.testing.assert_close(getattr(graph, method)(texts).to_dense(), expected, rtol=1e-4, atol=5e-5)
