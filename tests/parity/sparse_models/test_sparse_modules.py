"""Each module of sparse encoders: every option, values and gradients as in the reference."""

from __future__ import annotations

import itertools
import json
import logging
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from stlib import errors
from stlib.sparse_encoder import modules as ours

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def theirs(reference) -> Any:
    return pytest.importorskip("sentence_transformers.sparse_encoder.modules")


# -- SpladePooling


def padded(seed: int, grad: bool = False) -> dict[str, torch.Tensor]:
    """Logits ``[4, 9, 13]`` of texts of 9, 5, 1 and no tokens."""
    logits = torch.randn(4, 9, 13, generator=torch.Generator().manual_seed(seed)).requires_grad_(grad)
    mask = (torch.arange(9) < torch.tensor([[9], [5], [1], [0]])).long()
    return {"token_embeddings": logits, "attention_mask": mask}


CHOICES = list(itertools.product(["max", "sum"], ["relu", "log1p_relu"], [None, 0, 1, 4, 100]))


@pytest.mark.parametrize(("strategy", "activation", "chunk"), CHOICES)
@pytest.mark.parametrize("training", [True, False])
def test_pooling(theirs, strategy, activation, chunk, training):
    results = []
    for modules in (ours, theirs):
        pooling = modules.SpladePooling(strategy, activation, chunk_size=chunk).train(training)
        assert pooling.get_embedding_dimension() is None
        features = padded(3, grad=training)
        logits = features["token_embeddings"]
        given = features if training else {**features, "token_embeddings": logits.clone()}
        pooled = pooling(given)["sentence_embedding"]
        assert pooling.get_embedding_dimension() == 13
        if training:
            (pooled * torch.linspace(-1, 2, pooled.numel()).view_as(pooled)).sum().backward()
        results.append((pooled.detach(), logits.grad))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-5, atol=1e-6)
    with torch.no_grad():  # a text after the other
        again = ours.SpladePooling(strategy, activation, chunk_size=chunk)(padded(3))["sentence_embedding"]
    torch.testing.assert_close(again, results[1][0], rtol=1e-5, atol=1e-6)
    if training:
        torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("strategy", ["max", "sum"])
def test_pooling_of_padding_anywhere(theirs, strategy):
    features = padded(8)
    features["attention_mask"] = torch.randint(0, 2, (4, 9), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = [
            modules.SpladePooling(strategy).eval()({**features})["sentence_embedding"]
            for modules in (ours, theirs)
        ]
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("strategy", ["max", "sum"])
@pytest.mark.parametrize("activation", ["relu", "log1p_relu"])
def test_pooling_of_texts_end_to_end(theirs, strategy, activation):
    flat = torch.randn(1, 15, 13, generator=torch.Generator().manual_seed(1))
    bounds = torch.tensor([0, 9, 14, 15])
    found = [
        modules.SpladePooling(strategy, activation).eval()(
            {"token_embeddings": flat.clone(), "cu_seq_lens_q": bounds}
        )["sentence_embedding"]
        for modules in (ours, theirs)
    ]
    torch.testing.assert_close(*found)


def test_pooling_settings(theirs):
    for modules in (ours, theirs):
        assert modules.SpladePooling(word_embedding_dimension=5).get_embedding_dimension() == 5
    mine, other = ours.SpladePooling(embedding_dimension=7), theirs.SpladePooling(embedding_dimension=7)
    assert mine.get_config_dict() == other.get_config_dict()
    assert str(mine) == str(other)
    for wrong in ({"pooling_strategy": "mean"}, {"activation_function": "gelu"}, {"size": 3}):
        with pytest.raises(errors.InvalidOption):
            ours.SpladePooling(**wrong)


# -- SparseAutoEncoder

RESULTS = (
    "sentence_embedding sentence_embedding_backbone sentence_embedding_encoded sentence_embedding_encoded_4k "
    "auxiliary_embedding decoded_embedding_k decoded_embedding_4k decoded_embedding_aux "
    "decoded_embedding_k_pre_bias"
).split()


def encoders(theirs: Any, **options: Any) -> list[Any]:
    made = []
    for modules in (ours, theirs):
        torch.manual_seed(2)
        encoder = modules.SparseAutoEncoder(8, 40, **{"k": 4, "k_aux": 6, "dead_threshold": 1, **options})
        with torch.no_grad():
            encoder.pre_bias.uniform_(-1, 1)
            encoder.latent_bias.uniform_(-1, 1)
        made.append(encoder)
    return made


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("k_aux", [0, 6])
@pytest.mark.parametrize("limit", [None, 2])
def test_auto_encoder_in_training(theirs, normalize, k_aux, limit):
    pair = encoders(theirs, normalize=normalize, k_aux=k_aux)
    given = {} if limit is None else {"max_active_dims": limit}
    for step in range(4):  # latents fall asleep on the way
        x = torch.randn(5, 8, generator=torch.Generator().manual_seed(step))
        results = [encoder.train()({"sentence_embedding": x}, **given) for encoder in pair]
        for name in RESULTS:
            mine, other = (result[name] for result in results)
            assert (mine is None) == (other is None), name
            if other is not None:
                torch.testing.assert_close(mine, other, msg=lambda m, n=name: f"{n}: {m}")
        assert torch.equal(pair[0].stats_last_nonzero, pair[1].stats_last_nonzero)
    for encoder, result in zip(pair, results, strict=True):
        encoder.zero_grad()
        sum(result[name].sum() for name in RESULTS if result[name] is not None).backward()
    for (name, mine), (_, other) in zip(*(e.named_parameters() for e in pair), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.parametrize("normalize", [True, False])
def test_auto_encoder_in_inference(theirs, normalize):
    pair = encoders(theirs, normalize=normalize)
    x = torch.randn(5, 8)
    with torch.inference_mode():
        results = [encoder.eval()({"sentence_embedding": x}) for encoder in pair]
    assert list(results[0]) == list(results[1]) == ["sentence_embedding"]
    torch.testing.assert_close(*(result["sentence_embedding"] for result in results))
    assert pair[0].get_config_dict() == pair[1].get_config_dict()
    assert pair[0].get_embedding_dimension() == 40
    with pytest.raises(errors.InvalidOption, match="info of prepare"):
        encoders(theirs, normalize=True)[0].decode(torch.zeros(1, 40))


def test_auto_encoder_keeps_at_most_what_there_is():
    encoder = ours.SparseAutoEncoder(4, 6, k=9, k_aux=9)
    result = encoder({"sentence_embedding": torch.randn(3, 4)})
    latents = result["sentence_embedding_encoded"]
    torch.testing.assert_close(result["sentence_embedding"], torch.relu(latents))


# -- SparseStaticEmbedding


def test_static_weights(tiny_mlm, theirs, texts):
    tokenizer = AutoTokenizer.from_pretrained(tiny_mlm)
    weight = torch.rand(len(tokenizer), generator=torch.Generator().manual_seed(4))
    for frozen, given in itertools.product([True, False], [weight, None]):
        pair = [
            modules.SparseStaticEmbedding(tokenizer, None if given is None else given.clone(), frozen)
            for modules in (ours, theirs)
        ]
        results = []
        for module in pair:
            features = module.preprocess(texts, prompt="search ")
            results.append(module(dict(features))["sentence_embedding"])
            again = module({**features, "sentence_embedding": torch.full((len(texts), 1), 2.0)})
            torch.testing.assert_close(again["sentence_embedding"], 2 * results[-1])
        torch.testing.assert_close(*results)
        assert pair[0].weight.requires_grad is pair[1].weight.requires_grad is not frozen
        assert pair[0].get_config_dict() == pair[1].get_config_dict() == {"frozen": frozen}
        assert pair[0].max_seq_length == pair[1].max_seq_length
        if not frozen:
            for result in results:
                result.sum().backward()
            torch.testing.assert_close(pair[0].weight.grad, pair[1].weight.grad)


def test_padding_that_is_a_word_of_the_text(tiny_mlm):
    """Where the padding is one of the tokens of a text, the text keeps it."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_mlm)
    tokenizer.pad_token = "fox"
    module = ours.SparseStaticEmbedding(tokenizer)
    features = module.preprocess(["fox", "a dog and a fox", "", "a dog and the quick dog"])
    fox = tokenizer.convert_tokens_to_ids("fox")
    for wanted in (True, False):
        with torch.set_grad_enabled(wanted):
            rows = module(dict(features))["sentence_embedding"]
        assert rows[:, fox].tolist() == [1, 1, 0, 0]
        assert rows.sum(dim=1).tolist() == [1, 4, 0, 5]


def test_weights_from_json(tiny_mlm, theirs, tmp_path, caplog):
    tokenizer = AutoTokenizer.from_pretrained(tiny_mlm)
    path = tmp_path / "idf.json"
    path.write_text(json.dumps({"fox": 2.5, "dog": 0.5, "sort": 3}))
    expected = theirs.SparseStaticEmbedding.from_json(str(path), tokenizer, frozen=True).weight
    for place in (path, tmp_path):  # the file, or the folder of a model that has it
        module = ours.SparseStaticEmbedding.from_json(place, tokenizer, frozen=True)
        assert torch.equal(module.weight, expected)
        assert not module.weight.requires_grad
    path.write_text(json.dumps({"fox": 2.5, "no such word": 9.0}))
    with caplog.at_level(logging.WARNING):
        module = ours.SparseStaticEmbedding.from_json(path, tokenizer)
    assert "1 words that are no tokens, e.g. 'no such word'" in caplog.text
    assert module.weight.count_nonzero() == 1
    path.write_text(json.dumps({"fox": "heavy"}))
    with pytest.raises(errors.ModelConfigError, match="a number for each word"):
        ours.SparseStaticEmbedding.from_json(path, tokenizer)
    with pytest.raises(errors.MissingModelFile, match=r"holds no idf\.json"):
        ours.SparseStaticEmbedding.from_json(tmp_path / "nothing", tokenizer)


def test_weights_of_another_shape(tiny_mlm):
    with pytest.raises(errors.InvalidOption, match="one number per token"):
        ours.SparseStaticEmbedding(AutoTokenizer.from_pretrained(tiny_mlm), torch.ones(2, 3))


# -- MLMTransformer


def test_older_transformer_with_a_head(tiny_mlm, theirs, texts, caplog):
    with caplog.at_level(logging.WARNING):
        pair = [modules.MLMTransformer(tiny_mlm).eval() for modules in (ours, theirs)]
    assert "MLMTransformer: the class is an older name" in caplog.text
    with torch.no_grad():
        found = [module(module.preprocess(texts))["token_embeddings"] for module in pair]
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-5)
    assert pair[0].get_config_dict() == pair[1].get_config_dict()
