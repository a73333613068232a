"""Model folders of every generation load; wrong, half-copied and hostile ones say what is wrong and run
nothing.
"""

from __future__ import annotations

import json
import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from stlib import SentenceTransformer, errors
from stlib.models import Dense, InputModule, Module, Normalize, Pooling, Transformer
from stlib.util.registry import ENTRIES, resolve_module_class

pytestmark = pytest.mark.parity

SOME = ["How do I sort a list?", "short", ""]


@pytest.fixture
def folder(tiny_bert, tmp_path) -> Path:
    """A saved pipeline with every kind of module file."""
    modules = [Transformer(tiny_bert), Pooling(32), Dense(32, 6), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(tmp_path / "model")
    return tmp_path / "model"


def edit(path: Path, change) -> None:
    value = json.loads(path.read_text())
    path.write_text(json.dumps(change(value) or value))


def set_type(folder: Path, index: int, ref: str) -> None:
    edit(folder / "modules.json", lambda entries: entries[index].update(type=ref))


def test_saved_folder_names_the_oldest_documented_paths(folder):
    entries = json.loads((folder / "modules.json").read_text())
    assert [(e["path"], e["type"]) for e in entries] == [
        ("", "sentence_transformers.models.Transformer"),
        ("1_Pooling", "sentence_transformers.models.Pooling"),
        ("2_Dense", "sentence_transformers.models.Dense"),
        ("3_Normalize", "sentence_transformers.models.Normalize"),
    ]
    assert (folder / "model.safetensors").is_file()
    assert "SentenceTransformer(" in (folder / "README.md").read_text()
    assert not [p for p in folder.parent.iterdir() if p.name.endswith(".saving")]


@pytest.mark.parametrize("package", ["sentence_transformers", "stlib"])
def test_every_generation_of_types_loads(folder, package):
    expected = SentenceTransformer(folder, device="cpu").encode(SOME)
    generations = [
        "{p}.models.{n}",
        "{p}.models.{n}.{n}",
        "{p}.sentence_transformer.modules.{n}",
        "{p}.base.modules.{n}",
        "{p}.base.modules.{f}.{n}",
        "{p}.sentence_transformer.modules.{f}.{n}",
    ]
    for pattern in generations:
        for i, name in enumerate(["Transformer", "Pooling", "Dense", "Normalize"]):
            set_type(folder, i, pattern.format(p=package, n=name, f=name.lower()))
        vectors = SentenceTransformer(folder, device="cpu").encode(SOME)
        np.testing.assert_array_equal(vectors, expected)


def test_every_registered_path_resolves_to_its_class():
    for entry in ENTRIES:
        for path in entry.paths():
            assert resolve_module_class(f"sentence_transformers.{path}") is entry.load()
        assert resolve_module_class(entry.saved_as) is entry.load()


@pytest.mark.parametrize(
    ("type_", "settings"),
    [
        ("sentence_transformers.models.Transformer", "sentence_bert_config.json"),
        ("sentence_transformers.models.BERT", "sentence_bert_config.json"),
        ("sentence_transformers.models.RoBERTa.RoBERTa", "sentence_roberta_config.json"),
    ],
)
def test_folders_of_version_0_load(folder, tmp_path, type_, settings):
    """Early folders kept the transformer in a subfolder and had other names for its settings."""
    model = SentenceTransformer(folder, device="cpu")
    expected = model.encode(SOME)
    old = tmp_path / "old"
    inner = old / "0_Transformer"
    inner.mkdir(parents=True)
    for path in folder.iterdir():
        if path.is_dir():
            shutil.copytree(path, old / path.name)
        elif path.name not in ("modules.json", "README.md", "config_sentence_transformers.json"):
            shutil.copy(path, inner / path.name)
    (inner / "sentence_bert_config.json").unlink()
    (inner / settings).write_text('{"max_seq_length": 64, "do_lower_case": false}')
    shutil.rmtree(old / "3_Normalize")  # had no files
    edit(folder / "modules.json", lambda entries: entries[0].update(path="0_Transformer", type=type_))
    shutil.copy(folder / "modules.json", old)
    flags = {
        "word_embedding_dimension": 32,
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": True,
    }
    (old / "1_Pooling" / "config.json").write_text(json.dumps(flags))
    dense = {
        "in_features": 32,
        "out_features": 6,
        "bias": True,
        "activation_function": "torch.nn.modules.activation.Tanh",
    }
    (old / "2_Dense" / "config.json").write_text(json.dumps(dense))
    (old / "2_Dense" / "model.safetensors").unlink()
    torch.save(model[2].state_dict(), old / "2_Dense" / "pytorch_model.bin")
    np.testing.assert_allclose(SentenceTransformer(old, device="cpu").encode(SOME), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("config.json", "config.json"),
        ("model.safetensors", "model.safetensors"),
        ("tokenizer.json", "tokenizer"),
        ("1_Pooling/config.json", "1_Pooling/config.json"),
        ("1_Pooling", "1_Pooling"),
        ("2_Dense/model.safetensors", "2_Dense/model.safetensors"),
        ("2_Dense/config.json", "2_Dense/config.json"),
    ],
)
def test_missing_files_are_named_with_the_remedy(folder, missing, said):
    path = folder / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    if missing == "tokenizer.json":
        (folder / "tokenizer_config.json").unlink()
    with pytest.raises(errors.MissingModelFile, match=f"{said}.*again") as caught:
        SentenceTransformer(folder)
    assert isinstance(caught.value, OSError)


def test_missing_shard_is_named(folder):
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(errors.MissingModelFile, match=r"model-00001-of-00002\.safetensors, model-00002"):
        SentenceTransformer(folder)


def test_sharded_weights_load(folder):
    model = SentenceTransformer(folder, device="cpu")
    expected = model.encode(SOME)
    (folder / "model.safetensors").unlink()
    model[0].auto_model.save_pretrained(folder, max_shard_size="20KB")
    assert (folder / "model.safetensors.index.json").is_file()
    np.testing.assert_array_equal(SentenceTransformer(folder, device="cpu").encode(SOME), expected)


def test_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(errors.MissingModelFile, match=r"neither modules.json nor config.json"):
        SentenceTransformer(tmp_path / "empty")
    with pytest.raises(errors.ModelNotFound, match="is a file"):
        SentenceTransformer(tmp_path / "file")
    with pytest.raises(errors.ModelNotFound, match="there is no folder"):
        SentenceTransformer(str(tmp_path / "a" / "b"))
    with pytest.raises(errors.ModelNotFound, match="local_files_only"):
        SentenceTransformer("no-such-owner/no-such-model", local_files_only=True, cache_folder=str(tmp_path))
    with pytest.raises(errors.InvalidOption, match="neither a name nor modules"):
        SentenceTransformer()


def test_damaged_files_are_refused(folder):
    (folder / "modules.json").write_text("[{]")
    with pytest.raises(errors.ModelConfigError, match=r"modules.json is no list of modules"):
        SentenceTransformer(folder)


def test_damaged_weights_and_configs_are_refused(folder):
    edit(folder / "1_Pooling" / "config.json", lambda c: c.update(pooling_mode="bogus"))
    with pytest.raises(
        errors.ModelConfigError, match=r"1_Pooling/config.json does not describe a Pooling.*bogus"
    ):
        SentenceTransformer(folder)
    edit(folder / "1_Pooling" / "config.json", lambda c: c.update(pooling_mode="mean"))
    weights = folder / "2_Dense" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(errors.WeightsMismatch, match="cannot be read"):
        SentenceTransformer(folder)
    from safetensors.torch import save_file

    save_file({"linear.weight": torch.zeros(6, 32), "other": torch.zeros(1)}, weights)
    with pytest.raises(errors.WeightsMismatch, match=r"missing \['linear.bias'\], unexpected \['other'\]"):
        SentenceTransformer(folder)


# -- nothing foreign runs
# --------------------------------------------------------------------------------------------


def test_pickled_weights_never_run(folder, pickled):
    (folder / "2_Dense" / "model.safetensors").unlink()
    torch.save({"linear.weight": pickled}, folder / "2_Dense" / "pytorch_model.bin")
    with pytest.raises(errors.WeightsMismatch, match="holds code"):
        SentenceTransformer(folder)
    with pytest.raises(errors.InvalidOption, match="weights_only"):
        SentenceTransformer(folder, model_kwargs={"weights_only": False})


@pytest.mark.parametrize("ref", ["os.system", "evil.Module", "subprocess.Popen", "owner/repo--evil.Module"])
def test_foreign_classes_need_trust(folder, ref):
    (folder / "evil.py").write_text("import sys\nsys.stlib_bomb = True\nclass Module: pass\n")
    set_type(folder, 1, ref)
    with pytest.raises(errors.UntrustedCode, match="trust_remote_code=True"):
        SentenceTransformer(folder)
    assert not hasattr(sys, "stlib_bomb")


@pytest.mark.parametrize(
    "ref", ["../evil.Module", "/etc/passwd", "os", "", "a..b", "sentence_transformers.models.Nope"]
)
def test_malformed_and_unknown_types_are_refused_even_with_trust(folder, ref):
    set_type(folder, 1, ref)
    with pytest.raises(errors.ModelConfigError):
        SentenceTransformer(folder, trust_remote_code=True)


@pytest.mark.parametrize(
    "path", ["../outside", "/etc", "1_Pooling/../../outside", "C:\\outside", "..\\outside"]
)
def test_module_paths_stay_inside(folder, path):
    edit(folder / "modules.json", lambda entries: entries[1].update(path=path))
    with pytest.raises(errors.UnsafePath, match="leaves the model's folder"):
        SentenceTransformer(folder)


@pytest.mark.parametrize("name", ["os.system", "torch.hub.load", "torch.utils.Tanh2", "builtins.eval"])
def test_activations_are_resolved_by_a_list(folder, name):
    edit(folder / "2_Dense" / "config.json", lambda c: c.update(activation_function=name))
    with pytest.raises(errors.UntrustedCode, match="not one of torch's"):
        SentenceTransformer(folder)


def test_a_model_cannot_grant_itself_trust(folder):
    config = {"max_seq_length": 8, "model_args": {"trust_remote_code": True}}
    (folder / "sentence_bert_config.json").write_text(json.dumps(config))
    edit(folder / "config.json", lambda c: c.update(auto_map={"AutoModel": "evil.Model"}))
    (folder / "evil.py").write_text("import sys\nsys.stlib_bomb = True\n")
    assert "trust_remote_code" not in Transformer.load_config(str(folder))["model_kwargs"]
    SentenceTransformer(folder)  # the architecture is known, so its own class is taken
    assert not hasattr(sys, "stlib_bomb")


def test_a_cached_model_opens_no_socket(folder, monkeypatch, tmp_path):
    """The layout of the Hugging Face cache, with a bare name, an id, and sockets that refuse to open."""
    repo = tmp_path / "hub" / "models--sentence-transformers--tiny"
    snapshot = repo / "snapshots" / ("0" * 40)
    snapshot.parent.mkdir(parents=True)
    shutil.copytree(folder, snapshot)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("0" * 40)
    expected = SentenceTransformer(folder, device="cpu").encode(SOME)

    def no_network(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", no_network)
    monkeypatch.setattr(socket, "create_connection", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    cache = str(tmp_path / "hub")
    for name in ("sentence-transformers/tiny", "tiny"):
        np.testing.assert_array_equal(
            SentenceTransformer(name, cache_folder=cache, device="cpu").encode(SOME), expected
        )
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", cache)
    np.testing.assert_array_equal(SentenceTransformer("tiny", device="cpu").encode(SOME), expected)


# -- modules of users
# ------------------------------------------------------------------------------------------------

DECAY = """
import torch
from stlib.models import Module

class DecayMeanPooling(Module):
    config_keys = ["dimension", "decay"]
    forward_kwargs = {"scale"}

    def __init__(self, dimension, decay=0.95, **kwargs):
        super().__init__()
        self.dimension, self.decay = dimension, decay

    def forward(self, features, scale=1.0, **kwargs):
        tokens, mask = features["token_embeddings"], features["attention_mask"].unsqueeze(-1)
        weights = mask * (self.decay ** torch.arange(tokens.shape[1])).view(1, -1, 1)
        features["sentence_embedding"] = scale * (tokens * weights).sum(1) / weights.sum(1)
        features["embedding_axis"] = features["sentence_embedding"] * 2
        return features

    def get_sentence_embedding_dimension(self):
        return self.dimension

    def save(self, output_path, *args, safe_serialization=True, **kwargs):
        self.save_config(output_path)
"""


def test_custom_module_beside_the_model(folder, tmp_path):
    (folder / "decay_pooling.py").write_text(DECAY)
    set_type(folder, 1, "decay_pooling.DecayMeanPooling")
    (folder / "1_Pooling" / "config.json").write_text('{"dimension": 32, "decay": 0.5}')
    with pytest.raises(errors.UntrustedCode):
        SentenceTransformer(folder)
    model = SentenceTransformer(folder, trust_remote_code=True, device="cpu")
    assert model[1].decay == 0.5
    assert model.get_model_kwargs() == ["scale"]
    plain, scaled = model.encode(SOME), model.encode(SOME, scale=3.0)
    assert np.abs(plain - scaled).max() > 1e-3
    axis = model.encode(SOME, output_value=None)[1]
    assert axis["embedding_axis"].shape == (32,)
    model.save(tmp_path / "again")
    again = SentenceTransformer(tmp_path / "again", trust_remote_code=True, device="cpu")
    np.testing.assert_array_equal(again.encode(SOME, scale=3.0), scaled)


def test_keywords_of_modules_json(folder, tmp_path):
    (folder / "scaled.py").write_text(DECAY.replace('forward_kwargs = {"scale"}', ""))
    set_type(folder, 1, "scaled.DecayMeanPooling")
    (folder / "1_Pooling" / "config.json").write_text('{"dimension": 32}')
    edit(folder / "modules.json", lambda entries: entries[1].update(kwargs=["scale"]))
    model = SentenceTransformer(folder, trust_remote_code=True, device="cpu")
    assert model.get_model_kwargs() == ["scale"]
    scaled = model.encode(SOME, scale=0.1)
    model.save(tmp_path / "again")
    again = SentenceTransformer(tmp_path / "again", trust_remote_code=True, device="cpu")
    np.testing.assert_array_equal(again.encode(SOME, scale=0.1), scaled)


class CountWords(InputModule):
    """An input module of an earlier generation: it defines ``tokenize`` and takes no prompt."""

    def tokenize(self, texts, **kwargs):
        return {
            "counts": torch.tensor([[len(text.split()), len(text)] for text in texts], dtype=torch.float32)
        }

    def forward(self, features, **kwargs):
        features["sentence_embedding"] = features["counts"]
        return features

    def save(self, output_path, *args, **kwargs):
        self.save_config(output_path)


class Double(Module):
    def forward(self, features, **kwargs):
        features["sentence_embedding"] = features["sentence_embedding"] * 2
        return features

    def save(self, output_path, *args, **kwargs):
        self.save_config(output_path)


def test_own_modules_without_files():
    model = SentenceTransformer(modules=[CountWords(), Double()])
    assert model.encode(["a b", "word"]).tolist() == [[4.0, 6.0], [2.0, 8.0]]
    assert model.encode("a b", prompt="q: ").tolist() == [6.0, 12.0]
    assert model.get_embedding_dimension() is None


# -- saving
# ----------------------------------------------------------------------------------------------------------


def test_a_failed_save_leaves_what_was_there(folder, monkeypatch):
    before = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    model = SentenceTransformer(folder, device="cpu")

    def fail(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(model[2], "save", fail)
    with pytest.raises(OSError, match="No space left"):
        model.save(folder)
    assert {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def test_saving_over_a_model_replaces_its_weights_and_keeps_other_files(folder):
    (folder / "notes.txt").write_text("mine")
    model = SentenceTransformer(folder, device="cpu")
    with torch.no_grad():
        model[2].linear.weight.mul_(-2)
        model[0].auto_model.embeddings.word_embeddings.weight.mul_(1.5)
    expected = model.encode(SOME)
    model.save(folder, safe_serialization=False)
    assert not (folder / "model.safetensors").exists()
    assert not (folder / "2_Dense" / "model.safetensors").exists()
    np.testing.assert_allclose(SentenceTransformer(folder, device="cpu").encode(SOME), expected, atol=1e-6)
    assert (folder / "notes.txt").read_text() == "mine"


def test_the_card_a_model_came_with_is_kept(folder, tmp_path):
    (folder / "README.md").write_text("# My card\n")
    SentenceTransformer(folder).save(tmp_path / "copy")
    assert (tmp_path / "copy" / "README.md").read_text() == "# My card\n"
    SentenceTransformer(folder).save_pretrained(tmp_path / "bare", create_model_card=False)
    assert not (tmp_path / "bare" / "README.md").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"backend": "bogus"}, "unknown"),
        ({"default_prompt_name": "nope"}, "nope"),
        ({"similarity_fn_name": "nope"}, "cosine, dot, euclidean, manhattan"),
        ({"token": "a", "use_auth_token": "b"}, "both given"),
    ],
)
def test_options_without_meaning_are_refused(folder, options, said):
    with pytest.raises(ValueError, match=said):
        SentenceTransformer(folder, **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"precision": "int4"}, "int8"),
        ({"prompt_name": "nope"}, "query, document"),
        ({"output_value": "nope"}, "sentence_embedding"),
        ({"output_value": None, "precision": "int8"}, "output_value"),
        ({"bogus": 1}, "bogus"),
    ],
)
def test_encode_options_without_meaning_are_refused(folder, options, said):
    model = SentenceTransformer(folder, device="cpu")
    with pytest.raises(ValueError, match=said):
        model.encode(SOME, **options)


@pytest.mark.parametrize("item", [None, 3, ["a", "b", "c"], {"image": "x"}, b"bytes"])
def test_inputs_that_are_no_text_are_named(folder, item):
    with pytest.raises(errors.InvalidInput, match="takes texts"):
        SentenceTransformer(folder, device="cpu").encode([item])


def test_truncation_is_counted_and_reported(folder, caplog):
    model = SentenceTransformer(folder, device="cpu")
    model.encode(["fits", "sort a list " * 50, "the dog " * 60], batch_size=1)
    assert "2 of 3 inputs are longer than 64 tokens and were cut" in caplog.text


def test_truncation_names_the_length_of_the_task(folder, caplog):
    model = SentenceTransformer(folder, device="cpu")
    model[0].document_length = 9
    model.encode_document(["fits", "sort a list " * 5])
    assert "1 of 2 inputs are longer than 9 tokens and were cut" in caplog.text
    lengths = {"query": 64, "document": 9, None: 64}
    assert {task: model[0].length_of(task) for task in lengths} == lengths
    model[0].query_length = 20
    for strategy, longest in (("min", 20), ("fixed", 12)):
        model[0].query_expansion = {"strategy": strategy, "length": 12}
        assert model[0].length_of("query") == longest


def test_bundled_model_by_name():
    from stlib.runtime import default_model_path

    path = default_model_path()
    by_name = SentenceTransformer("stlib-static-en", device="cpu").encode(SOME)
    np.testing.assert_array_equal(by_name, SentenceTransformer(path, device="cpu").encode(SOME))
