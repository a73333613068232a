"""Hostile folders of rerankers: nothing that they name runs without the reader's trust.

Every attack tries to create one file, the canary; every test ends by looking that it is not there, unless it
gave its trust.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from stlib import CrossEncoder, errors

PAIR = ("a", "b")


@pytest.fixture(scope="module")
def saved(bert_folder, tmp_path_factory) -> Path:
    """A saved reranker around a tiny BERT."""
    from transformers import BertConfig, BertForSequenceClassification

    plain = shutil.copytree(bert_folder, tmp_path_factory.mktemp("plain") / "plain")
    config = BertConfig.from_pretrained(plain, num_labels=1)
    BertForSequenceClassification(config).save_pretrained(plain)
    CrossEncoder(plain, device="cpu").save(str(plain / "saved"))
    return plain / "saved"


@pytest.mark.parametrize("as_pipeline", [True, False], ids=["pipeline", "plain"])
@pytest.mark.parametrize("name", ["pytorch_model.bin", "sharded"])
def test_pickled_weights(model, canary, name, as_pipeline, pickled):
    (model / "model.safetensors").unlink()
    if not as_pipeline:
        (model / "modules.json").unlink()
    if name == "sharded":
        name = "pytorch_model-00001-of-00001.bin"
        index = {"metadata": {"total_size": 8}, "weight_map": {"classifier.bias": name}}
        (model / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    torch.save({"classifier.bias": pickled}, model / name)
    # Trust is about source code one can read, not about pickles
    for trust in (False, True):
        with pytest.raises(errors.WeightsMismatch, match="holds code, which is never run"):
            CrossEncoder(model, trust_remote_code=trust, device="cpu")
    for value in (False, None):
        with pytest.raises(errors.InvalidOption, match="weights_only"):
            CrossEncoder(model, model_kwargs={"weights_only": value}, device="cpu")


def test_plain_tensors_in_the_older_format_load(model):
    expected = CrossEncoder(model, device="cpu").predict(PAIR)
    weights = CrossEncoder(model, device="cpu").model.state_dict()
    (model / "model.safetensors").unlink()
    torch.save(weights, model / "pytorch_model.bin")
    assert CrossEncoder(model, device="cpu").predict(PAIR) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("ref", ["os.system", "builtins.eval", "evil.Module", "owner/repo--evil.Module"])
def test_a_foreign_class_in_modules_json(model, canary, ref, monkeypatch, evil_source):
    (model / "evil.py").write_text(evil_source(canary))
    monkeypatch.syspath_prepend(model)
    entries = json.loads((model / "modules.json").read_text())
    entries[0]["type"] = ref
    (model / "modules.json").write_text(json.dumps(entries))
    with pytest.raises(errors.UntrustedCode, match="trust_remote_code=True") as raised:
        CrossEncoder(model, device="cpu")
    assert repr(ref) in str(raised.value)


def test_an_architecture_of_the_folder(model, canary, monkeypatch, edit, evil_source):
    (model / "evil.py").write_text(evil_source(canary))
    monkeypatch.setattr("builtins.input", lambda *args: pytest.fail("asked for trust"))
    maps = {"AutoConfig": "evil.Module", "AutoModelForSequenceClassification": "evil.Module"}
    edit(model / "config.json", model_type="evil", auto_map=maps)
    for as_pipeline in (True, False):
        if not as_pipeline:
            (model / "modules.json").unlink()
        with pytest.raises(errors.UntrustedCode, match="trust_remote_code=True"):
            CrossEncoder(model, device="cpu")


def with_activation(edit: Any, model: Path, place: str, name: str) -> None:
    if place == "pipeline":
        edit(model / "config_sentence_transformers.json", activation_fn=name)
        return
    (model / "config_sentence_transformers.json").unlink()
    (model / "modules.json").unlink()
    newer = {"sentence_transformers": {"activation_fn": name}}
    edit(model / "config.json", **newer if place == "4.x" else {"sbert_ce_default_activation_function": name})


@pytest.mark.parametrize("place", ["pipeline", "4.x", "3.x"])
@pytest.mark.parametrize("name", ["evil.Module", "os.system", "torch.hub.load"])
def test_an_activation_outside_the_list(model, canary, place, name, monkeypatch, edit, evil_source):
    (model / "evil.py").write_text(evil_source(canary))
    monkeypatch.syspath_prepend(model)
    with_activation(edit, model, place, name)
    with pytest.raises(errors.UntrustedCode, match=f"{name}' is not one of torch's"):
        CrossEncoder(model, device="cpu")
    edit(model / "config.json", trust_remote_code=True)  # a model cannot trust itself
    with pytest.raises(errors.UntrustedCode, match=f"{name}' is not one of torch's"):
        CrossEncoder(model, device="cpu")


def test_code_runs_with_trust(model, tmp_path, monkeypatch, edit, evil_source):
    (model / "trusted_activation.py").write_text(evil_source(tmp_path / "ran"))
    monkeypatch.syspath_prepend(model)
    with_activation(edit, model, "pipeline", "trusted_activation.Module")
    trusting = CrossEncoder(model, device="cpu", trust_remote_code=True)
    assert type(trusting.activation_fn).__module__ == "trusted_activation"
    assert (tmp_path / "ran").exists()


def test_weights_of_a_graph_stay_in_the_folder(model, canary):
    """A graph without config.json is checked as any other before it is opened."""
    onnx = pytest.importorskip("onnx", reason="making graphs needs onnx; run: pip install onnx")
    pytest.importorskip("onnxruntime", reason="the ONNX backend needs onnxruntime")
    for name in ("config.json", "modules.json", "model.safetensors"):
        (model / name).unlink()
    (model.parent / "secret").write_bytes(b"\0" * 8)
    tensor = onnx.TensorProto(name="w", dims=[2], data_type=1, data_location=1)
    tensor.external_data.add(key="location", value="../secret")
    ids = onnx.helper.make_tensor_value_info("input_ids", 7, ["n", "tokens"])
    out = onnx.helper.make_tensor_value_info("logits", 1, [2])
    node = onnx.helper.make_node("Identity", ["w"], ["logits"])
    graph = onnx.helper.make_graph([node], "g", [ids], [out], [tensor])
    (model / "model.onnx").write_bytes(onnx.helper.make_model(graph).SerializeToString())
    with pytest.raises(errors.UnsafePath, match=r"\.\./secret"):
        CrossEncoder(model, backend="onnx", device="cpu")
