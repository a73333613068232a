"""Late-interaction models without torch give the token vectors that the reference gives."""

from __future__ import annotations

import json
import shutil
import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stlib.runtime.protocol import TokenEncoderProtocol
from stlib.runtime.token_encoder import TokenRuntimeEncoder

pytestmark = pytest.mark.parity


@pytest.fixture
def both(reference, tiny_bert, tiny_onnx, tmp_path) -> Any:
    """Saves a late-interaction model by the reference and loads it with and without torch."""
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.multi_vector_encoder.modules import HierarchicalTokenPooling, MultiVectorMask

    def load(
        mask: dict[str, Any] | None = None,
        prompts: dict[str, str] | None = None,
        pooling: dict[str, Any] | None = None,
        **transformer: Any,
    ) -> tuple[Any, TokenRuntimeEncoder]:
        torch.manual_seed(3)
        projection = Dense(32, 8, bias=False, activation_function=None, module_input_name="token_embeddings")
        modules = [
            Transformer(tiny_bert, **transformer),
            projection,
            MultiVectorMask(**(mask or {})),
            Normalize(module_input_name="token_embeddings"),
        ]
        if pooling is not None:
            modules.append(HierarchicalTokenPooling(**pooling))
        MultiVectorEncoder(modules=modules, prompts=prompts, device="cpu").save(str(tmp_path / "model"))
        (tmp_path / "model" / "onnx").mkdir()
        shutil.copy(tiny_onnx, tmp_path / "model" / "onnx" / "model.onnx")
        full = MultiVectorEncoder(str(tmp_path / "model"), device="cpu")
        return full, TokenRuntimeEncoder.load(tmp_path / "model")

    return load


def assert_alike(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    assert [one.shape for one in found] == [one.shape for one in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("mask", "prompts", "transformer"),
    [
        ({}, None, {}),
        ({"skiplist_words": list(string.punctuation)}, None, {"query_length": 5, "document_length": 9}),
        (
            {"skiplist_words": ["fox", ":", "nowhere"], "skiplist_tasks": ["query", "document"]},
            {"query": "search : ", "document": "text : "},
            {"query_expansion": {"strategy": "fixed", "length": 12}},
        ),
        (
            {"keep_only_token_ids": [5, 6, 7, 20, 30]},
            {"query": "query : "},
            {"query_expansion": {"strategy": "min", "length": 8, "attend": True, "token": "[UNK]"}},
        ),
        (
            {"skiplist_words": "."},
            {"passage": "text : "},
            {
                "query_length": 10,
                "query_expansion": {"strategy": "min", "length": 7},
                "processor_kwargs": {"model_max_length": 6},
            },
        ),
        ({}, None, {"query_length": 5, "processing_kwargs": {"text": {"max_length": 7}}}),
    ],
)
def test_vectors_of_queries_and_documents(both, texts, mask, prompts, transformer):
    full, light = both(mask, prompts, **transformer)
    assert light.dimension == 8
    assert isinstance(light, TokenEncoderProtocol)
    for name in ("encode_query", "encode_document", "encode"):
        expected = getattr(full, name)(texts, convert_to_numpy=True)
        assert_alike(getattr(light, name)(texts), expected)


def test_a_text_has_its_vectors_whatever_stands_beside_it(both, texts):
    _, light = both({"skiplist_words": ["."]}, query_expansion={"strategy": "min", "length": 8})
    many = [f"{text} {i}" for i in range(40) for text in texts]
    for encode in (light.encode_query, light.encode_document):
        assert_alike(encode(many, batch_size=50), [encode([text])[0] for text in many])
    assert light.encode_query([]) == []


def test_query_expansion_with_padding_in_front(both, texts):
    expansion = {"strategy": "fixed", "length": 12}
    full, light = both(processor_kwargs={"padding_side": "left"}, query_expansion=expansion)
    assert_alike(light.encode_query(texts), full.encode_query(texts, convert_to_numpy=True))


@pytest.mark.parametrize(
    "pooling",
    [
        {"pool_factor": 2},
        {"pool_factor": 1.5, "num_protected_tokens": 0, "normalize_embeddings": False},
        {"pool_factor": 3, "tasks": ["query", "document"]},
        {"pool_factor": 1},
    ],
)
def test_pooled_tokens(both, texts, pooling):
    full, light = both({"skiplist_words": ["."]}, pooling=pooling)
    # Equal words at equal distances may be joined in another order: no text of one word alone.
    for name in ("encode_query", "encode_document"):
        assert_alike(getattr(light, name)(texts[:6]), getattr(full, name)(texts[:6], convert_to_numpy=True))


def test_fingerprints_tell_models_apart(both, tmp_path):
    _, light = both({"skiplist_words": ["."]})
    again = TokenRuntimeEncoder.load(tmp_path / "model")
    assert again.fingerprint == light.fingerprint
    (mask,) = Path(tmp_path / "model").glob("*MultiVectorMask")
    (mask / "config.json").write_text('{"skiplist_words": [","]}')
    assert TokenRuntimeEncoder.load(tmp_path / "model").fingerprint != light.fingerprint


def test_a_pylate_folder_saved_again_with_onnx(both, texts, tmp_path):
    from stlib import MultiVectorEncoder

    both()
    folder = tmp_path / "model"
    write = lambda name, value: (folder / name).write_text(json.dumps(value))  # noqa: E731
    types = {"": "sentence_transformers.models.Transformer", "1_Dense": "pylate.models.Dense.Dense"}
    write(
        "modules.json",
        [{"idx": i, "path": p, "name": str(i), "type": t} for i, (p, t) in enumerate(types.items())],
    )
    settings = {
        "query_prefix": "[UNK] ",
        "document_prefix": "[SEP] ",
        "query_length": 9,
        "document_length": 7,
    }
    write("config_sentence_transformers.json", {"model_type": "ColBERT", "skiplist_words": ["."], **settings})
    shutil.rmtree(folder / "onnx")
    full = MultiVectorEncoder(str(folder), device="cpu")
    MultiVectorEncoder(str(folder), device="cpu", backend="onnx").save_pretrained(str(tmp_path / "again"))
    light = TokenRuntimeEncoder.load(tmp_path / "again")
    for name in ("encode_query", "encode_document"):
        assert_alike(getattr(light, name)(texts), getattr(full, name)(texts, convert_to_numpy=True))
    assert [len(rows) for rows in light.encode_query(texts)] == [9] * len(texts)
