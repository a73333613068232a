"""Logits of words, reduced as they are made over packed tokens, against those of the padded forward pass."""

from __future__ import annotations

import functools
import gc
import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stlib.base.modules import packed_words, packing
from stlib.base.modules.packed_words import PackedLogits, run_packed_words
from stlib.base.modules.packing import Block

NAMES = ["bert", "roberta", "xlm-roberta", "camembert", "mpnet", "distilbert"]
LENGTHS = [20, 3, 1, 7, 7, 12, 20, 2]


@functools.cache
def shared(name: str):
    return tiny(name)


def tiny(name: str):
    import transformers

    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 64,
    }
    if name == "distilbert":
        sizes = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}
    torch.manual_seed(3)
    config = transformers.AutoConfig.for_model(name, vocab_size=61, initializer_range=0.3, **sizes)
    model = transformers.AutoModelForMaskedLM.from_config(config).eval()
    with torch.no_grad():
        model.get_output_embeddings().bias.uniform_(-3, 3)
    return model


def batch(model, lengths=LENGTHS):
    padding = model.config.pad_token_id or 0
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    ids = torch.randint(2, 60, mask.shape, generator=torch.Generator().manual_seed(5))
    return {"input_ids": torch.where(mask.bool(), ids, padding), "attention_mask": mask}


@torch.no_grad()
def padded(model, inputs):
    """Largest logits, and sums of their positive parts, of the padded forward pass."""
    logits = torch.relu(model(**inputs).logits * inputs["attention_mask"].unsqueeze(-1))
    return logits.amax(dim=1), logits.sum(dim=1)


@torch.no_grad()
def packed(model, inputs, unpad=None):
    logits = run_packed_words(model, inputs, unpad)
    assert isinstance(logits, PackedLogits)
    return logits.largest(), logits.summed(torch.relu)


def assert_equal(model, inputs):
    for found, expected in zip(packed(model, inputs), padded(model, inputs), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("lengths", [LENGTHS, [5, 5, 5], [1], [1, 2, 3, 40]])
def test_equals_the_padded_forward_pass(name, lengths):
    model = shared(name)
    assert_equal(model, batch(model, lengths))


@pytest.mark.parametrize("tokens", [1, 3, 8, 19, 1000])
@pytest.mark.parametrize("words", [7, 60, 61])
def test_pieces_of_any_size(monkeypatch, tokens, words):
    monkeypatch.setattr(packed_words, "_TOKENS", tokens)
    monkeypatch.setattr(packed_words, "_WORDS", words)
    model = tiny("bert")
    assert_equal(model, batch(model))


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=12), size=st.integers(1, 30))
def test_segments_are_all_tokens_of_all_texts(lengths, size):
    lengths.sort(reverse=True)
    blocks, start = [], 0
    for length in sorted(set(lengths), reverse=True):
        blocks.append(Block(start, lengths.count(length), length, length))
        start = blocks[-1].rows.stop
    owner = [i for i, length in enumerate(lengths) for _ in range(length)]
    found = []
    for start in range(0, len(owner), size):
        for part in packed_words._segments(blocks, start, start + size):
            assert part.rows.stop <= size
            found += [part.first + i for i in range(part.texts) for _ in range(part.tokens)]
    assert found == owner


def test_changed_weights_are_noticed():
    model = tiny("bert")
    inputs = batch(model)
    assert_equal(model, inputs)
    with torch.no_grad():
        model.get_output_embeddings().bias.add_(1)
        model.cls.predictions.transform.dense.weight.mul_(2)
    assert_equal(model, inputs)
    model.resize_token_embeddings(70)
    assert packed(model, inputs)[0].shape == (8, 70)
    assert_equal(model, inputs)


def test_changes_that_nobody_counts_are_noticed_when_told():
    model = tiny("bert")
    inputs = batch(model, [2])
    packed(model, inputs)
    model.cls.predictions.decoder.weight.data[7, 5] += 9
    packing.forget_packed(model)
    assert_equal(model, inputs)


@pytest.mark.parametrize("change", [torch.nn.Module.train, lambda model: model.to("meta")])
def test_the_copy_goes_when_the_model_is_no_longer_served(change):
    model = tiny("bert")
    inputs = batch(model)
    packed(model, inputs)
    copy = weakref.ref(packed_words._WORDS_OF[model.cls.predictions.decoder])
    change(model)
    with torch.no_grad():
        assert run_packed_words(model, {name: x.to(model.device) for name, x in inputs.items()}, None) is None
    gc.collect()
    assert copy() is None


def test_where_the_padded_pass_has_to_run():
    model = tiny("bert")
    inputs = batch(model)
    assert run_packed_words(model, inputs, None) is None  # gradients are wanted
    with torch.no_grad():
        assert run_packed_words(model, inputs, False) is None
        left = {key: value.flip(1) for key, value in inputs.items()}
        assert run_packed_words(model, left, None) is None
        handle = model.cls.predictions.decoder.register_forward_hook(lambda *_: None)
        assert run_packed_words(model, inputs, None) is None
        handle.remove()
        assert run_packed_words(model.train(), inputs, None) is None
        assert run_packed_words(model.bert.eval(), inputs, None) is None
