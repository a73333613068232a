"""Model folders that ask for attention by code of the hub: only the caller may."""

from __future__ import annotations

import pytest

from stlib import SentenceTransformer, errors


def test_attention_by_code_of_the_hub(bert, canary, edit):
    """transformers would download the repository and run its kernel."""
    edit(bert / "config.json", _attn_implementation="owner/kernel")
    with pytest.raises(errors.UntrustedCode, match="'owner/kernel', which is code of the hub"):
        SentenceTransformer(bert)


@pytest.fixture
def kernels(canary, monkeypatch):
    """Where transformers would download a kernel, the canary is created instead."""
    import transformers.modeling_utils as used

    monkeypatch.setattr(used, "lazy_import_flash_attention", lambda *args, **kwargs: canary.touch())


@pytest.mark.parametrize(
    "settings",
    [
        {"config_kwargs": {"attn_implementation": {"x": "sdpa"}}},
        {"config_kwargs": {"attn_implementation": None}},
        {"config_kwargs": {"attn_implementation": "sdpa", "_attn_implementation": "owner/kernel"}},
        {"config_kwargs": {"_attn_implementation": {"": "owner/kernel"}}},
        {"config_kwargs": {"_attn_implementation_internal": "owner/kernel"}},
        {"config_kwargs": {"attn_implementation": "paged|owner/kernel"}},
        {"config_kwargs": {"attn_implementation": ["owner/kernel"]}},
        {"config_args": {"attn_implementation": "own"}},
        {"model_kwargs": {"attn_implementation": {"": "sdpa"}}},
        {"model_args": {"attn_implementation": 3}},
        {"model_kwargs": {"config": None}},
        {"model_kwargs": {"config": {}}},
    ],
)
def test_settings_do_not_hide_attention_by_code_of_the_hub(bert, kernels, settings, edit):
    """What a file says is no wish of the caller, who alone may name code of the hub."""
    edit(bert / "config.json", _attn_implementation="owner/kernel")
    edit(bert / "sentence_bert_config.json", **settings)
    with pytest.raises(
        (errors.UntrustedCode, errors.ModelConfigError), match=r"attention|attn_implementation"
    ):
        SentenceTransformer(bert)


@pytest.mark.parametrize(
    "wish", [{"attn_implementation": {"x": "sdpa"}}, {"attn_implementation": "own/other"}]
)
def test_a_wish_for_other_attention_trusts_no_kernel_of_the_files(bert, kernels, wish, edit):
    edit(bert / "config.json", _attn_implementation="owner/kernel")
    with pytest.raises(errors.UntrustedCode, match="'owner/kernel', which is code of the hub"):
        SentenceTransformer(bert, config_kwargs=wish)


def test_attention_in_a_part_of_a_configuration(kernels):
    """However deep it lies; transformers takes the attention of each part from there."""
    from transformers import BertConfig

    from stlib.base.transformer.config import check_attention

    config = BertConfig()
    config.part = BertConfig()
    config.part.inner = BertConfig(attn_implementation="owner/kernel")
    with pytest.raises(errors.UntrustedCode, match="'owner/kernel'"):
        check_attention(config, None)
    check_attention(config, {"inner": "owner/kernel"})  # the caller's wish
    config.part.inner = BertConfig(attn_implementation="unknown")
    with pytest.raises(errors.ModelConfigError, match="'unknown'; a file may name: eager, sdpa, flash"):
        check_attention(config, None)


@pytest.mark.parametrize("name", ["eager", "sdpa"])
def test_files_may_name_attention_of_transformers(bert, canary, name, edit):
    expected = SentenceTransformer(bert, device="cpu").encode("a")
    edit(bert / "sentence_bert_config.json", config_kwargs={"attn_implementation": name})
    model = SentenceTransformer(bert, device="cpu")
    assert model[0].config._attn_implementation == name
    assert model.encode("a") == pytest.approx(expected, abs=1e-6)
