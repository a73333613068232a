"""Settings in the files of a transformer: they grant no trust, and wrong values are named."""

from __future__ import annotations

import re

import pytest
import torch

from stlib import SentenceTransformer, errors
from stlib.models import Transformer

GROUPS = ["model_args", "model_kwargs", "tokenizer_args", "processor_kwargs", "config_args", "config_kwargs"]


@pytest.mark.parametrize("group", GROUPS)
def test_settings_cannot_grant_trust_to_code_or_pickles(bert, canary, group, edit, evil_source, pickled):
    (bert / "evil.py").write_text(evil_source(canary))
    granted = {"trust_remote_code": True, "weights_only": False, "use_kernels": True, "code_revision": "main"}
    edit(bert / "sentence_bert_config.json", **{group: granted})
    SentenceTransformer(bert, device="cpu").encode("a")  # they are passed over
    maps = {"AutoConfig": "evil.Module", "AutoModel": "evil.Module"}
    kept = (bert / "config.json").read_text()
    edit(bert / "config.json", model_type="evil", auto_map=maps)
    with pytest.raises(errors.UntrustedCode, match="trust_remote_code=True"):
        SentenceTransformer(bert)
    (bert / "config.json").write_text(kept)
    (bert / "model.safetensors").unlink()
    torch.save({"embeddings.position_ids": pickled}, bert / "pytorch_model.bin")
    with pytest.raises(errors.WeightsMismatch, match="never run"):
        SentenceTransformer(bert)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"bogus": 1}, errors.UnknownKeyword),
        ({"trust_remote_code": True}, errors.UnknownKeyword),
        ({"backend": "evil"}, errors.ModelConfigError),
        ({"model_name_or_path": "/etc"}, errors.ModelConfigError),
        ({"max_seq_length": "64"}, errors.ModelConfigError),
        ({"model_kwargs": ["trust_remote_code"]}, errors.ModelConfigError),
        ({"transformer_task": "os.system"}, errors.InvalidOption),
        ({"model_args": {"attn_implementation": "owner/kernel"}}, errors.UntrustedCode),
        ({"config_args": {"attn_implementation": {"": "owner/kernel"}}}, errors.UntrustedCode),
    ],
)
def test_settings_of_a_transformer(bert, canary, settings, error, edit):
    edit(bert / "sentence_bert_config.json", **settings)
    with pytest.raises(error, match=f"{next(iter(settings))}|attention"):
        SentenceTransformer(bert)


@pytest.mark.parametrize("value", [0, -5, True, "x", 2.5, [64], 2**64])
@pytest.mark.parametrize(
    "place",
    [
        ("max_seq_length",),
        ("query_length",),
        ("document_length",),
        ("processor_kwargs", "model_max_length"),
        ("tokenizer_args", "model_max_length"),
        ("processing_kwargs", "text", "max_length"),
    ],
)
def test_lengths_that_are_none(bert, place, value, edit):
    """The file, the value and what is allowed are named before anything is loaded."""
    setting = value
    for key in reversed(place[1:]):
        setting = {key: setting}
    edit(bert / "sentence_bert_config.json", **{place[0]: setting})
    said = rf"sentence_bert_config\.json.*{place[-1]}={re.escape(repr(value))}; .* number of tokens from 1"
    with pytest.raises(errors.ModelConfigError, match=said):
        SentenceTransformer(bert)


@pytest.mark.parametrize("value", [0, -5, True, "x", 2.5])
def test_a_tokenizer_with_a_length_that_is_none(bert, value, edit):
    edit(bert / "tokenizer_config.json", model_max_length=value)
    said = rf"tokenizer_config\.json.*model_max_length={re.escape(repr(value))}; .* number of tokens from 1"
    with pytest.raises(errors.ModelConfigError, match=said):
        SentenceTransformer(bert)


@pytest.mark.parametrize("value", [int(1e30), 1e30, None])
def test_lengths_that_stand_for_no_limit(bert, value, edit):
    """transformers writes 10**30, which other writers of JSON turn into a float."""
    edit(bert / "tokenizer_config.json", model_max_length=value)
    assert SentenceTransformer(bert, device="cpu").max_seq_length == 512  # the model's positions
    edit(bert / "tokenizer_config.json", model_max_length=7)
    edit(bert / "sentence_bert_config.json", processor_kwargs={"model_max_length": value})
    model = SentenceTransformer(bert, device="cpu")
    assert model.max_seq_length == int(1e30)
    assert model.encode("a").shape == (8,)


@pytest.mark.parametrize("value", [-5, True, "x"])
def test_a_length_of_the_caller_that_is_none(bert, value):
    said = rf"max_seq_length={re.escape(repr(value))}; .* number of tokens from 1"
    with pytest.raises(errors.InvalidOption, match=said):
        Transformer(str(bert), max_seq_length=value)
    model = SentenceTransformer(bert, device="cpu")
    with pytest.raises(errors.InvalidOption, match=said):
        model.max_seq_length = value
    assert model.max_seq_length == 512


@pytest.mark.parametrize("key", ["unpad_inputs", "do_lower_case"])
@pytest.mark.parametrize("value", ["yes", 1, []])
def test_switches_that_are_none(bert, key, value, edit):
    edit(bert / "sentence_bert_config.json", **{key: value})
    said = rf"sentence_bert_config\.json.*{key}={re.escape(repr(value))}; .* true, false or null"
    with pytest.raises(errors.ModelConfigError, match=said):
        SentenceTransformer(bert)
