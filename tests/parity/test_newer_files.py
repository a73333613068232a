"""Files of newer and older versions, and odd arguments, are treated as the reference does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from stlib import CrossEncoder, SentenceTransformer, errors
from stlib.models import Dense, Pooling, StaticEmbedding, Transformer
from stlib.runtime import Encoder, default_model_path

pytestmark = pytest.mark.parity

SOME = ["How do I sort a list?", "short", "the quick brown fox"]


@pytest.fixture
def folder(tiny_bert, tmp_path):
    """A saved pipeline of Transformer, Pooling and Dense."""
    torch.manual_seed(3)
    model = SentenceTransformer(modules=[Transformer(tiny_bert), Pooling(32), Dense(32, 6)], device="cpu")
    model.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def add():
    """Adds keys to a JSON file."""

    def add_keys(path: Path, **keys):
        path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))

    return add_keys


def encode(name, **options):
    return SentenceTransformer(name, device="cpu", **options).encode(SOME)


@pytest.mark.parametrize("module", ["1_Pooling", "2_Dense"])
def test_a_key_of_a_newer_version_is_named_and_left_out(folder, reference, add, caplog, module):
    before = encode(folder)
    add(folder / module / "config.json", use_magic=True, activation_args=[1])
    caplog.clear()
    np.testing.assert_array_equal(encode(folder), before)
    (said,) = [record.getMessage() for record in caplog.records if "does not know" in record.getMessage()]
    assert f"{module}/config.json holds activation_args, use_magic, which" in said
    if module == "2_Dense":  # the reference knows no other module to which this may happen
        theirs = reference.SentenceTransformer(str(folder), device="cpu")
        np.testing.assert_allclose(theirs.encode(SOME), before, atol=1e-6)


def test_the_runtime_names_newer_keys_too(tmp_path, add, caplog):
    static = StaticEmbedding.load(str(default_model_path()), "0_StaticEmbedding")
    torch.manual_seed(0)
    SentenceTransformer(modules=[static, Dense(256, 8)], device="cpu").save(tmp_path / "model")
    before = Encoder.load(tmp_path / "model").encode(SOME)
    add(tmp_path / "model" / "1_Dense" / "config.json", use_magic=True)
    np.testing.assert_array_equal(Encoder.load(tmp_path / "model").encode(SOME), before)
    assert "1_Dense/config.json holds use_magic, which this version does not know" in caplog.text


def test_a_newer_group_of_processing_keywords_is_named_and_left_out(folder, reference, add, caplog):
    settings = {"text": {"max_length": 4}, "smell": {"max_length": 2}}
    add(folder / "sentence_bert_config.json", processing_kwargs=settings)
    theirs = reference.SentenceTransformer(str(folder), device="cpu").encode(SOME)
    caplog.clear()
    np.testing.assert_allclose(encode(folder), theirs, atol=1e-6)
    assert "processing_kwargs holds smell, which this version does not know" in caplog.text


@pytest.mark.parametrize("modules", [[], {}, ()])
@pytest.mark.parametrize("family", ["SentenceTransformer", "CrossEncoder"])
def test_a_model_of_no_modules_is_refused_as_there(reference, family, modules):
    ours = {"SentenceTransformer": SentenceTransformer, "CrossEncoder": CrossEncoder}[family]
    with pytest.raises(ValueError, match="empty"):
        getattr(reference, family)(modules=modules)
    with pytest.raises(errors.InvalidOption, match=f"{family}: modules is empty; pass the name or folder"):
        ours(modules=modules)
    with pytest.raises(errors.InvalidOption, match="there is neither a name nor modules"):
        ours()


def test_saving_to_nowhere_writes_nothing_as_there(folder, reference, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(path for path in tmp_path.rglob("*"))
    for model in (SentenceTransformer(folder), reference.SentenceTransformer(str(folder))):
        assert model.save(None) is None
        assert model.save_pretrained(None) is None
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_a_file_is_no_model_as_there(reference, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"x")
    attempts = [reference.SentenceTransformer, reference.CrossEncoder]
    for attempt in (*attempts, SentenceTransformer, CrossEncoder, Encoder.load):
        with pytest.raises(NotADirectoryError, match="is a file"):
            attempt(str(path))
    with pytest.raises(errors.ModelNotFound):  # as before there was a class of its own
        SentenceTransformer(path)


def test_the_card_knows_the_revision_of_its_base_as_there(hub, folder, reference, tiny_bert, tmp_path):
    first = hub.put_folder("org/model", folder)
    hub.repos["org/model"]["branches"]["v1"] = first
    second = hub.commit("org/model", "main", {"note.txt": b"x"})
    for revision, expected in ((None, second), ("main", second), ("v1", "v1"), (first, first)):
        theirs = reference.SentenceTransformer("org/model", revision=revision, device="cpu").model_card_data
        model = SentenceTransformer("org/model", revision=revision, device="cpu")
        ours = model.model_card_data
        assert (theirs.base_model, theirs.base_model_revision) == ("org/model", expected)
        assert (ours.base_model, ours.base_model_revision) == ("org/model", expected)
    model.model_card_text = None
    model.save(tmp_path / "copy")
    assert f"org/model at the revision {first}" in (tmp_path / "copy" / "README.md").read_text()
    bert = hub.put_folder("org/bert", Path(tiny_bert))
    cache = str(tmp_path / "cache")
    built = SentenceTransformer(modules=[Transformer("org/bert", cache_dir=cache), Pooling(32)], device="cpu")
    assert built.model_card_data.base_model == "org/bert"
    assert built.model_card_data.base_model_revision == bert


def test_the_card_knows_what_a_table_was_made_from(tiny_bert):
    static = StaticEmbedding.load(str(default_model_path()), "0_StaticEmbedding")
    static.base_model = "org/teacher"
    assert SentenceTransformer(modules=[static]).model_card_data.base_model == "org/teacher"
    static.base_model = tiny_bert  # a folder of this machine says nothing to others
    assert SentenceTransformer(modules=[static]).model_card_data.base_model is None


def test_a_static_model_lies_where_it_lies_there(reference, tmp_path):
    older = default_model_path()
    ours = SentenceTransformer(older, device="cpu")
    ours.save(tmp_path / "ours")
    theirs = reference.SentenceTransformer(str(tmp_path / "ours"), device="cpu")
    theirs.save(str(tmp_path / "theirs"))

    def listed(name):
        return sorted(path.name for path in (tmp_path / name).iterdir())

    assert listed("ours") == listed("theirs")
    assert {"tokenizer.json", "model.safetensors", "modules.json"} <= set(listed("ours"))
    expected = ours.encode(SOME)
    np.testing.assert_allclose(theirs.encode(SOME), expected, atol=1e-6)
    for name in ("ours", "theirs"):
        np.testing.assert_allclose(encode(tmp_path / name), expected, atol=1e-6)
        np.testing.assert_allclose(Encoder.load(tmp_path / name).encode(SOME), expected, atol=1e-6)
    # and the folder in which it lay earlier
    shutil.copytree(older, tmp_path / "older")
    assert (tmp_path / "older" / "0_StaticEmbedding" / "tokenizer.json").is_file()
    np.testing.assert_allclose(encode(tmp_path / "older"), expected, atol=1e-6)


def test_the_example_names_the_model_itself(folder, tmp_path):
    model = SentenceTransformer(folder, device="cpu")
    for name in ("me/first", "me/second"):
        model.save(tmp_path / "saved", model_name=name)
        card = (tmp_path / "saved" / "README.md").read_text()
        assert 'model = SentenceTransformer("me/first")' in card  # a model has one id, as there
    other = SentenceTransformer(folder, device="cpu")
    other.save(tmp_path / "here", model_name=str(tmp_path))  # a folder of this machine is no id
    assert 'SentenceTransformer("me/' not in (tmp_path / "here" / "README.md").read_text()
    assert other.model_card_data.model_id is None


@pytest.mark.parametrize("include_prompt", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_texts_laid_end_to_end_are_pooled_one_by_one(reference, include_prompt, dtype):
    their_pooling = pytest.importorskip("sentence_transformers.sentence_transformer.modules").Pooling
    lengths, half = [3, 2, 7, 4], dtype == torch.bfloat16
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(1, sum(lengths), 8, generator=generator).to(dtype)
    bounds = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    modes = Pooling.POOLING_MODES
    for mode in (*modes, modes):
        results = []
        for make in (Pooling, their_pooling):
            leaf = tokens.clone().requires_grad_()
            features = {"token_embeddings": leaf, "cu_seq_lens_q": bounds, "prompt_length": 1}
            out = make(8, mode, include_prompt=include_prompt)(features)["sentence_embedding"]
            out.float().pow(2).sum().backward()
            results.append((out, leaf.grad))
        assert results[0][0].shape == (4, 8 * (1 if isinstance(mode, str) else len(modes)))
        for mine, its in zip(*results, strict=True):
            torch.testing.assert_close(mine, its, **({"rtol": 0.03, "atol": 0.03} if half else {}))
