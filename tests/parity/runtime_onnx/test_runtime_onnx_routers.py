"""Routers send texts of a task in the torch-free Encoder where the full library sends them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from stlib import SentenceTransformer
from stlib.models import Dense, Normalize, Pooling, Router
from stlib.runtime import Encoder, UnknownTaskError

pytestmark = pytest.mark.parity


def save_router(router: Router, path: Path, onnx: Path, *rest: nn.Module, **settings) -> tuple:
    full = SentenceTransformer(modules=[router, *rest], device="cpu", **settings)
    full.save(path)
    for config in [*path.rglob("sentence_bert_config.json")]:
        (config.parent / "onnx").mkdir()
        shutil.copy(onnx, config.parent / "onnx" / "model.onnx")
    return SentenceTransformer(str(path), device="cpu"), Encoder.load(path)


def test_static_queries_meet_documents_of_a_transformer(
    tiny_bert, tiny_onnx, tmp_path, texts, pooled, static_of
):
    router = Router.for_query_document([static_of(tiny_bert)], pooled(tiny_bert))
    prompts = {"query": "query ", "document": "text : "}
    full, light = save_router(router, tmp_path / "model", tiny_onnx, Normalize(), prompts=prompts)
    queries, documents = light.encode_query(texts), light.encode_document(texts)
    np.testing.assert_allclose(queries, full.encode_query(texts), rtol=1e-5, atol=3e-6)
    np.testing.assert_allclose(documents, full.encode_document(texts), rtol=1e-5, atol=3e-6)
    np.testing.assert_allclose(light.encode(texts), full.encode(texts), rtol=1e-5, atol=3e-6)
    np.testing.assert_allclose(
        light.encode(texts, task="query"), full.encode(texts, task="query"), rtol=1e-5, atol=3e-6
    )
    assert not np.allclose(queries, documents, atol=0.1)
    assert light.token_counts(["the fox"]).tolist() == [2]


def test_route_mappings_and_shared_modules(tiny_bert, tiny_onnx, tmp_path, texts, pooled):
    transformer, pooling = pooled(tiny_bert)
    routes = {"long": [transformer, pooling], "short": [transformer, Pooling(32, "cls")]}
    mappings = {("query", "text"): "short", ("title", None): "long", (None, "text"): "short"}
    router = Router(routes, default_route="long", route_mappings=mappings)
    full, light = save_router(router, tmp_path / "model", tiny_onnx)
    assert len(list((tmp_path / "model").rglob("model.onnx"))) == 1
    for task in ("query", "title", "document", None):
        expected = full.encode(texts, task=task)
        np.testing.assert_allclose(light.encode(texts, task=task), expected, rtol=1e-5, atol=3e-6)


def test_a_router_inside_a_router(tiny_bert, tiny_onnx, tmp_path, texts, pooled, static_of):
    inner = Router(
        {"query": [static_of(tiny_bert)], "title": pooled(tiny_bert, "max")}, default_route="title"
    )
    outer = Router(
        {"document": pooled(tiny_bert), "other": [inner]},
        default_route="document",
        route_mappings={("query", None): "other", ("title", None): "other"},
    )
    full, light = save_router(outer, tmp_path / "model", tiny_onnx)
    for task in ("query", "title", "document", None):
        expected = full.encode(texts, task=task)
        np.testing.assert_allclose(light.encode(texts, task=task), expected, rtol=1e-5, atol=3e-6)


def test_a_router_after_the_transformer(tiny_bert, both, texts, pooled):
    torch.manual_seed(6)
    router = Router(
        {"query": [Dense(32, 32)], "document": [Dense(32, 32), Normalize()]}, default_route="document"
    )
    full, light = both(*pooled(tiny_bert), router)
    np.testing.assert_allclose(light.encode_query(texts), full.encode_query(texts), rtol=1e-5, atol=3e-6)
    np.testing.assert_allclose(
        light.encode_document(texts), full.encode_document(texts), rtol=1e-5, atol=3e-6
    )


def test_unknown_task_and_no_default_route(tiny_bert, tiny_onnx, tmp_path, static_of):
    router = Router({"query": [static_of(tiny_bert)]}, allow_empty_key=False)
    _, light = save_router(router, tmp_path / "model", tiny_onnx)
    with pytest.raises(UnknownTaskError, match=r"no route for task='title'; the routes are: query"):
        light.encode(["fox"], task="title")
    with pytest.raises(UnknownTaskError, match="no route for task=None"):
        light.encode(["fox"])


def test_asym_of_an_earlier_generation(tiny_bert, tiny_onnx, tmp_path, texts, pooled, static_of):
    router = Router.for_query_document([static_of(tiny_bert)], pooled(tiny_bert))
    folder = tmp_path / "model"
    save_router(router, folder, tiny_onnx)
    config = json.loads((folder / "router_config.json").read_text())
    config["parameters"] = {"allow_empty_key": True}
    (folder / "router_config.json").unlink()
    (folder / "config.json").write_text(json.dumps(config))
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "sentence_transformers.models.Asym"
    (folder / "modules.json").write_text(json.dumps(modules))
    full, light = SentenceTransformer(str(folder), device="cpu"), Encoder.load(folder)
    np.testing.assert_allclose(light.encode_query(texts), full.encode_query(texts), rtol=1e-5, atol=3e-6)
    np.testing.assert_allclose(
        light.encode_document(texts), full.encode_document(texts), rtol=1e-5, atol=3e-6
    )
    np.testing.assert_allclose(light.encode(texts), full.encode(texts), rtol=1e-5, atol=3e-6)
