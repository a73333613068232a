"""Longer than a model has positions: one rule for all families, whoever set the length; None is no length."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from stlib import CrossEncoder, SentenceTransformer
from stlib.errors import InvalidOption
from stlib.models import Pooling, Router, Transformer

pytestmark = pytest.mark.parity

LONG = "the quick brown fox " * 60
SHORT = "how do i sort a list"
FAMILIES = {"SentenceTransformer": SentenceTransformer, "CrossEncoder": CrossEncoder}


def run(model, text, **options):
    if isinstance(model, CrossEncoder):
        return model.predict([(text, text), (SHORT, text)], **options)
    return model.encode([text, SHORT], **options)


def by_hand(cls, folder):
    model = cls(folder, device="cpu")
    model.max_seq_length = 100
    return model


def by_the_tokenizer(cls, folder):
    model = cls(folder, device="cpu")
    model.tokenizer.model_max_length = 100
    return model


def by_an_argument(cls, folder):
    return cls(folder, device="cpu", processor_kwargs={"model_max_length": 100})


def by_a_config(cls, folder):
    cls(folder, device="cpu").save_pretrained(f"{folder}-saved")
    path = Path(f"{folder}-saved/sentence_bert_config.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "max_seq_length": 100}))
    return cls(f"{folder}-saved", device="cpu")


@pytest.fixture
def folder(tiny_reranker, tmp_path):
    return str(shutil.copytree(tiny_reranker, tmp_path / "model"))


@pytest.mark.parametrize("make", [by_hand, by_the_tokenizer, by_an_argument, by_a_config])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_input_beyond_the_positions_is_refused_and_nothing_else(folder, make, family):
    model = make(FAMILIES[family], folder)
    usual = FAMILIES[family](folder, device="cpu")
    assert (model.max_seq_length, usual.max_seq_length) == (100, 64)
    np.testing.assert_allclose(run(model, SHORT), run(usual, SHORT), atol=1e-6)
    with pytest.raises(InvalidOption, match=r"100 tokens .* max_seq_length=100, .* positions for 64; set"):
        run(model, LONG)
    model.max_seq_length = 64
    np.testing.assert_allclose(run(model, LONG), run(usual, LONG), atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_keywords_of_a_call_follow_the_rule(folder, family):
    model = FAMILIES[family](folder, device="cpu")
    with pytest.raises(InvalidOption, match=r"90 tokens after it was cut at max_seq_length=90"):
        run(model, LONG, processing_kwargs={"text": {"max_length": 90}})
    with pytest.raises(InvalidOption, match=r"truncation is switched off, .* positions for 64"):
        run(model, LONG, processing_kwargs={"text": {"truncation": False}})


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("setting", ["model.max_seq_length", "model.tokenizer.model_max_length"])
def test_none_keeps_as_many_tokens_as_there_are_positions(folder, family, setting):
    model = FAMILIES[family](folder, device="cpu")
    expected = run(model, LONG)
    model.max_seq_length = 10
    exec(f"{setting} = None")
    np.testing.assert_allclose(run(model, LONG), expected, atol=1e-6)
    assert model.max_seq_length == 64


def test_none_for_every_route(tiny_bert):
    routes = {name: [Transformer(tiny_bert), Pooling(32)] for name in ("query", "document")}
    model = SentenceTransformer(modules=[Router(routes)], device="cpu")
    model.max_seq_length = 5
    model.max_seq_length = None
    assert [route[0].max_seq_length for route in model[0].sub_modules.values()] == [64, 64]


def test_none_cuts_nothing_of_a_model_that_numbers_none(tmp_path, save_tokenizer):
    import torch
    from transformers import T5Config, T5EncoderModel

    save_tokenizer(tmp_path)
    torch.manual_seed(1)
    config = T5Config(vocab_size=120, d_model=16, d_ff=16, d_kv=8, num_layers=1, num_heads=2)
    T5EncoderModel(config).save_pretrained(tmp_path)
    model = SentenceTransformer(str(tmp_path), device="cpu")
    model.max_seq_length = None
    assert model.tokenize([LONG])["input_ids"].shape[1] == 4 * 60 + 2
    whole = model.encode(LONG)
    model.max_seq_length = 500
    np.testing.assert_allclose(model.encode(LONG), whole, atol=1e-6)
