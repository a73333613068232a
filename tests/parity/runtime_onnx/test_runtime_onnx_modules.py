"""Modules and settings of a pipeline give in the torch-free Encoder what they give in the full library."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from indexing.models.encoders import FullModelEncoder
from stlib import SentenceTransformer
from stlib.models import Dense, LayerNorm, Normalize, Pooling
from stlib.runtime import Encoder
from stlib.runtime.modules.dense import Dense as LightDense
from stlib.runtime.modules.pooling import Pooling as LightPooling
from stlib.sentence_transformer.modules.dropout import Dropout

pytestmark = pytest.mark.parity


MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]


@pytest.mark.parametrize("include_prompt", [True, False])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("mode", MODES)
def test_pooling_modes_on_either_padding_side(mode, side, include_prompt):
    dice = np.random.default_rng(2)
    tokens = dice.normal(size=(5, 9, 4)).astype(np.float32)
    lengths = np.array([9, 4, 6, 1, 0])
    mask = (np.arange(9) < lengths[:, None]).astype(np.int64)
    mask = mask[:, ::-1].copy() if side == "left" else mask
    for prompt in ({}, {"prompt_length": 3}):
        full = Pooling(4, mode, include_prompt=include_prompt)
        features = {"token_embeddings": torch.tensor(tokens), "attention_mask": torch.tensor(mask)}
        expected = full({**features, **prompt})["sentence_embedding"].numpy()
        light = LightPooling(4, (mode,), include_prompt)
        found = light.forward({"token_embeddings": tokens, "attention_mask": mask, **prompt})
        np.testing.assert_allclose(found["sentence_embedding"], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", ["mean", MODES, ["mean", "cls"]], ids=str)
def test_pooling_in_a_pipeline(tiny_bert, both, mode, pooled, assert_equal):
    full, light = both(*pooled(tiny_bert, mode))
    assert light.dimension == full.get_embedding_dimension()
    assert_equal(full, light)


def test_prompts_are_left_out_of_the_pooling(tiny_bert, both, pooled, assert_equal):
    modules = pooled(tiny_bert, MODES, include_prompt=False)
    full, light = both(*modules, prompts={"query": "search query : "})
    assert_equal(full, light, prompt_name="query")
    assert_equal(full, light, prompt="the quick ")
    assert_equal(full, light)


def test_pooling_flags_of_earlier_generations(tiny_bert, both, tmp_path, pooled, assert_equal):
    _, _ = both(*pooled(tiny_bert))
    flags = {
        "pooling_mode_lasttoken": True,
        "pooling_mode_cls_token": True,
        "pooling_mode_mean_tokens": False,
    }
    config = {"word_embedding_dimension": 32, **flags}
    (tmp_path / "model" / "1_Pooling" / "config.json").write_text(json.dumps(config))
    full, light = SentenceTransformer(str(tmp_path / "model"), device="cpu"), Encoder.load(tmp_path / "model")
    assert light.dimension == 64
    assert_equal(full, light)


ACTIVATIONS = (
    "CELU ELU GELU Hardsigmoid Hardswish Hardtanh Identity LeakyReLU LogSigmoid Mish PReLU ReLU ReLU6 SELU "
    "SiLU Sigmoid Softplus Softsign Tanh Tanhshrink"
).split()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_dense_activations(name, tmp_path):
    torch.manual_seed(3)
    saved = Dense(32, 8, activation_function=getattr(nn, name)(), init_weight=torch.randn(8, 32) * 3)
    saved.save(str(tmp_path))
    full, light = Dense.load(str(tmp_path)), LightDense.load(tmp_path)
    values = torch.randn(50, 32)
    with torch.no_grad():
        expected = full({"sentence_embedding": values})["sentence_embedding"].numpy()
    found = light.forward({"sentence_embedding": values.numpy()})["sentence_embedding"]
    assert found.dtype == np.float32
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"out_features": 32, "use_residual": True},
        {"out_features": 12, "use_residual": True},
        {"out_features": 12, "bias": False},
        {"out_features": 12, "module_output_name": "other"},
        {"out_features": 32, "module_input_name": "token_embeddings"},
    ],
    ids=str,
)
def test_dense_options(tiny_bert, both, options, pooled, assert_equal):
    torch.manual_seed(4)
    transformer, pooling = pooled(tiny_bert)
    dense = Dense(32, **options)
    first = "module_input_name" in options
    full, light = both(*([transformer, dense, pooling] if first else [transformer, pooling, dense]))
    assert_equal(full, light)


def test_normalise_layer_norm_and_dropout(tiny_bert, both, texts, pooled, assert_equal):
    norm = LayerNorm(32)
    with torch.no_grad():
        norm.norm.weight.copy_(torch.linspace(-1, 2, 32))
        norm.norm.bias.copy_(torch.linspace(1, 0, 32))
    full, light = both(*pooled(tiny_bert), norm, Dropout(0.5), Normalize())
    assert_equal(full, light)
    np.testing.assert_allclose(np.linalg.norm(light.encode(texts), axis=1), 1, atol=1e-6)


def test_prompts_truncation_and_normalisation(tiny_bert, both, texts, pooled, assert_equal):
    prompts = {"query": "query : ", "passage": "passage : ", "title": "a word "}
    full, light = both(*pooled(tiny_bert), prompts=prompts, default_prompt_name="title", truncate_dim=20)
    assert light.dimension == full.get_embedding_dimension() == 20
    for options in (
        {},
        {"prompt_name": "query"},
        {"prompt": "short text "},
        {"truncate_dim": 32},
        {"truncate_dim": 5, "normalize_embeddings": True},
    ):
        assert_equal(full, light, **options)
    np.testing.assert_allclose(light.encode_query(texts), full.encode_query(texts), rtol=1e-5, atol=3e-6)
    passages = full.encode_document(texts, prompt_name="passage")  # an index takes the first with a text
    np.testing.assert_allclose(light.encode_document(texts), passages, rtol=1e-5, atol=3e-6)


def test_a_query_without_a_prompt_of_its_own_takes_none(tiny_bert, both, texts, pooled):
    full, light = both(*pooled(tiny_bert), prompts={"title": "a word "}, default_prompt_name="title")
    np.testing.assert_allclose(light.encode_query(texts), full.encode_query(texts), rtol=1e-5, atol=3e-6)
    assert not np.allclose(light.encode_query(texts), light.encode(texts), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "settings", "limit"),
    [
        ("sentence_bert_config.json", {"max_seq_length": 9, "do_lower_case": False}, 9),
        ("sentence_bert_config.json", {"max_seq_length": 7, "do_lower_case": True}, 7),
        ("sentence_roberta_config.json", {"max_seq_length": 11}, 11),
        ("sentence_bert_config.json", {"tokenizer_args": {"model_max_length": 6}}, 6),
        ("sentence_bert_config.json", {"max_seq_length": None}, 64),
        (None, {}, 64),
    ],
    ids=str,
)
def test_settings_of_all_generations(tiny_bert, both, tmp_path, name, settings, limit, pooled, assert_equal):
    both(*pooled(tiny_bert))
    folder = tmp_path / "model"
    (folder / "sentence_bert_config.json").unlink()
    if name:
        (folder / name).write_text(json.dumps(settings))
    full, light = SentenceTransformer(str(folder), device="cpu"), Encoder.load(folder)
    assert full.max_seq_length == light.max_seq_length == limit
    assert_equal(full, light)


@pytest.mark.parametrize("lower", [True, False])
def test_letter_case_is_that_of_the_tokenizers_settings(
    tiny_bert, both, tmp_path, lower, pooled, assert_equal
):
    both(*pooled(tiny_bert))
    path = tmp_path / "model" / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "do_lower_case": lower}))
    full, light = SentenceTransformer(str(tmp_path / "model"), device="cpu"), Encoder.load(tmp_path / "model")
    assert_equal(full, light)
    same = np.allclose(light.encode(["FOX"]), light.encode(["fox"]), atol=1e-6)
    assert same == lower


def test_spans_and_counts_are_those_of_the_tokenizer(tiny_bert, both, texts, pooled):
    full, light = both(*pooled(tiny_bert))
    expected = FullModelEncoder(full).token_spans(texts)
    for ours, theirs in zip(light.token_spans(texts), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert light.token_counts(texts).tolist() == [len(spans) for spans in expected]


def test_a_static_embedding_in_a_longer_pipeline(tiny_bert, tmp_path, static_of, assert_equal):
    torch.manual_seed(9)
    full = SentenceTransformer(modules=[static_of(tiny_bert), Dense(32, 8), Normalize()], device="cpu")
    full.save(tmp_path / "model")
    light = Encoder.load(tmp_path / "model")
    assert (light.is_static, light.dimension) == (True, 8)
    assert_equal(full, light)
