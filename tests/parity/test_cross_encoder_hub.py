"""Rerankers come from a hub and go to it; the hub is a server on 127.0.0.1 (the fixture ``hub``)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stlib import CrossEncoder, errors
from stlib.runtime import Reranker

pytestmark = pytest.mark.parity

PAIRS = [
    ("how do i sort a list", "sort a list in short"),
    ("how do i sort a list", "the quick brown fox jumps over the lazy dog"),
    ("how do i sort a list", ""),
]
TOKEN = "hf_secret"  # the one that the hub takes


def predict(name, **options):
    return CrossEncoder(name, device="cpu", **options).predict(PAIRS)


@pytest.fixture
def model(tiny_reranker):
    """A reranker with settings that differ from the defaults."""
    return CrossEncoder(tiny_reranker, device="cpu", activation_fn=torch.nn.Tanh(), max_length=14)


def test_a_pushed_reranker_loads_with_its_scores(hub, model, reference, tmp_path):
    expected = model.predict(PAIRS)
    url = model.push_to_hub("org/reranker", token=TOKEN)
    (sha,) = {sha for sha in hub.repos["org/reranker"]["commits"] if set(sha) != {"0"}}
    assert url == f"{hub.url}/org/reranker/commit/{sha}"
    assert hub.commit_messages[0]["summary"] == "Add new CrossEncoder model"
    model.save(str(tmp_path / "saved"))
    uploaded = {name for name in hub.files("org/reranker") if name != ".gitattributes"}
    assert uploaded == {p.name for p in (tmp_path / "saved").iterdir()}
    assert 'CrossEncoder("org/reranker")' in hub.files("org/reranker")["README.md"].decode()
    np.testing.assert_array_equal(predict("org/reranker"), expected)
    other = reference.CrossEncoder("org/reranker", device="cpu")
    np.testing.assert_allclose(other.predict(PAIRS), expected, atol=1e-6)
    with pytest.raises(OSError, match="409"):
        model.push_to_hub("org/reranker", token=TOKEN)


def test_what_the_reference_pushes_loads(hub, tiny_reranker, reference):
    other = reference.CrossEncoder(tiny_reranker, device="cpu", activation_fn=torch.nn.Tanh())
    other.push_to_hub("org/theirs", token=TOKEN)
    np.testing.assert_allclose(predict("org/theirs"), other.predict(PAIRS), atol=1e-6)


def test_push_as_pull_request_and_private(hub, model, tiny_reranker, tmp_path):
    expected = model.predict(PAIRS)
    model.push_to_hub("org/mine", token=TOKEN, private=True)
    with pytest.raises(errors.ModelNotFound, match="org/mine"):
        predict("org/mine", token=False, cache_folder=str(tmp_path / "none"))
    np.testing.assert_array_equal(predict("org/mine", token=TOKEN), expected)
    plain = CrossEncoder(tiny_reranker, device="cpu")
    url = plain.push_to_hub("org/mine", token=TOKEN, create_pr=True)
    assert url == f"{hub.url}/org/mine/discussions/1"
    assert "adds the files that load org/mine as a CrossEncoder" in hub.commit_messages[-1]["description"]
    np.testing.assert_array_equal(
        predict("org/mine", token=TOKEN, revision="refs/pr/1"), plain.predict(PAIRS)
    )


def test_a_bare_name_is_looked_for_in_the_organization(hub, model, tmp_path):
    model.save(str(tmp_path / "saved"))
    hub.put_folder("cross-encoder/tiny", tmp_path / "saved")
    np.testing.assert_array_equal(predict("tiny"), model.predict(PAIRS))


def test_an_exported_reranker_without_configuration(hub, tiny_reranker, tmp_path):
    """An ONNX file and a tokenizer come from the hub, too, and go back as they are."""
    folder = tmp_path / "bare"
    CrossEncoder(tiny_reranker, backend="onnx", device="cpu").save(str(folder))
    for name in ("config.json", "modules.json", "sentence_bert_config.json"):
        (folder / name).unlink()
    (folder / "config_sentence_transformers.json").unlink()
    hub.put_folder("org/bare", folder)
    expected = predict(folder, backend="onnx")
    model = CrossEncoder("org/bare", backend="onnx", device="cpu")
    np.testing.assert_array_equal(model.predict(PAIRS), expected)
    model.push_to_hub("org/again", token=TOKEN)
    assert "config.json" not in hub.files("org/again")
    np.testing.assert_array_equal(predict("org/again", backend="onnx"), expected)
    for name, content in hub.files("org/again").items():
        (tmp_path / "again" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "again" / name).write_bytes(content)
    query, passages = PAIRS[0][0], [passage for _, passage in PAIRS]
    logits = Reranker.load(tmp_path / "again").scores(query, passages)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), expected, atol=1e-5)


@pytest.mark.parametrize("place", ["model.onnx", "onnx/model.onnx"])
def test_an_onnx_file_and_a_tokenizer_from_the_cache_alone(hub, tiny_reranker, tmp_path, place):
    """What was fetched once loads without the hub, also if another program fetched it."""
    from huggingface_hub import snapshot_download

    folder = tmp_path / "exported"
    CrossEncoder(tiny_reranker, backend="onnx", device="cpu").save(str(folder))
    files = {place: "onnx/model.onnx", "tokenizer.json": "tokenizer.json"}
    hub.create("org/bare")
    hub.commit("org/bare", "main", {name: (folder / source).read_bytes() for name, source in files.items()})
    expected = predict("org/bare", backend="onnx")
    np.testing.assert_allclose(expected, predict(tiny_reranker), atol=2e-6)
    snapshot_download("org/bare", cache_dir=tmp_path / "other", endpoint=hub.url)
    hub.requests.clear()
    for cache in (None, str(tmp_path / "other")):
        got = predict("org/bare", backend="onnx", local_files_only=True, cache_folder=cache)
        np.testing.assert_array_equal(got, expected)
    with pytest.raises(errors.MissingModelFile, match="load it with backend='onnx'"):
        predict("org/bare", local_files_only=True)
    with pytest.raises(errors.ModelNotFound, match="org/other"):
        predict("org/other", backend="onnx", local_files_only=True)
    assert hub.requests == []
    hub.repos.clear()  # as good as no connection
    np.testing.assert_array_equal(predict("org/bare", backend="onnx"), expected)
