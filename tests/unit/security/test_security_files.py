"""Model folders with pickled weights, paths that leave them and configurations of another form."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from stlib import SentenceTransformer, errors


@pytest.mark.parametrize("folder", ["", "1_WordWeights", "3_Dense", "4_LayerNorm"])
def test_pickled_weights(model, canary, folder, pickled):
    weights = model / folder / "model.safetensors"
    weights.unlink()
    torch.save({"weight": pickled}, model / folder / "pytorch_model.bin")
    with pytest.raises(errors.WeightsMismatch, match="holds code, which is never run") as raised:
        SentenceTransformer(model)
    assert str(Path(folder) / "pytorch_model.bin") in str(raised.value)
    # Trust is about source code one can read, not about pickles
    with pytest.raises(errors.WeightsMismatch):
        SentenceTransformer(model, trust_remote_code=True)


def test_pickled_weights_of_a_transformer(plain_bert, canary, pickled):
    (plain_bert / "model.safetensors").unlink()
    torch.save({"embeddings.position_ids": pickled}, plain_bert / "pytorch_model.bin")
    with pytest.raises(errors.WeightsMismatch, match="holds code, which is never run"):
        SentenceTransformer(plain_bert)
    for value in (False, None):
        with pytest.raises(errors.InvalidOption, match="weights_only"):
            SentenceTransformer(plain_bert, model_kwargs={"weights_only": value})


@pytest.mark.parametrize(
    "path",
    ["..", "../other", "3_Dense/../../other", "/etc", "C:\\other", "..\\other", "\\\\host\\share", "a\0b"],
)
def test_module_paths_that_leave_the_model(model, canary, path, set_module):
    shutil.copytree(model / "3_Dense", model.parent / "other")
    set_module(model, 3, path=path)
    with pytest.raises(errors.UnsafePath, match="leaves the model's folder"):
        SentenceTransformer(model)


def test_links_that_leave_the_model(model, canary):
    outside = (model / "3_Dense").rename(model.parent / "outside")
    (model / "3_Dense").symlink_to(outside, target_is_directory=True)
    with pytest.raises(errors.UnsafePath, match="is a link that leaves the model's folder"):
        SentenceTransformer(model)
    # A link to the whole model, and one inside of it, stay inside
    (model / "3_Dense").unlink()
    outside.rename(model / "real")
    (model / "3_Dense").symlink_to(model / "real", target_is_directory=True)
    (model.parent / "link").symlink_to(model, target_is_directory=True)
    assert SentenceTransformer(model.parent / "link", device="cpu").encode("dog").shape == (4,)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("wordembedding_config.json", "WordEmbeddings"),
        ("whitespacetokenizer_config.json", "WhitespaceTokenizer"),
        ("1_WordWeights/config.json", "WordWeights"),
        ("4_LayerNorm/config.json", "LayerNorm"),
        ("5_Normalize/config.json", "Normalize"),
    ],
)
def test_a_config_with_unknown_keys(model, canary, file, said, edit):
    edit(model / file, __class__="os.system", bogus=1)
    with pytest.raises(
        errors.ModelConfigError, match=f"{file} does not describe a {said}.*(bogus|__class__)"
    ):
        SentenceTransformer(model)


@pytest.mark.parametrize("file", ["2_Pooling/config.json", "3_Dense/config.json"])
def test_unknown_keys_of_newer_versions_are_data(model, canary, file, edit, caplog):
    before = SentenceTransformer(model, device="cpu").encode("dog")
    edit(model / file, __class__="os.system", bogus=1)
    assert (SentenceTransformer(model, device="cpu").encode("dog") == before).all()
    assert f"{file} holds __class__, bogus, which this version does not know" in caplog.text


@pytest.mark.parametrize("value", ["[]", '"text"', "{", "\x00", '{"in_features": "six", "out_features": 4}'])
def test_a_config_of_another_form(model, canary, value):
    (model / "3_Dense" / "config.json").write_text(value)
    with pytest.raises(errors.ModelConfigError, match=r"3_Dense/config\.json"):
        SentenceTransformer(model)


@pytest.mark.parametrize(
    "changes",
    [
        {"prompts": ["a"]},
        {"prompts": {"query": 3}},
        {"prompts": "query"},
        {"default_prompt_name": 3},
        {"similarity_fn_name": "os.system"},
        {"truncate_dim": "4"},
        {"truncate_dim": -1},
    ],
)
def test_settings_of_another_form(model, canary, changes, edit):
    edit(model / "config_sentence_transformers.json", **changes)
    with pytest.raises(errors.StlibError, match=next(iter(changes)).removesuffix("_fn_name")):
        SentenceTransformer(model)
