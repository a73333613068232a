"""Model folders that name classes, functions and methods: none outside the lists is imported or called."""

from __future__ import annotations

import contextlib
import json

import pytest

from stlib import SentenceTransformer, errors
from stlib.models import BoW, Router

FOREIGN = [
    "os.system",
    "builtins.eval",
    "builtins.exec",
    "subprocess.Popen",
    "evil.Module",
    "torch.load",
    "transformers.AutoModel",
    "owner/repo--evil.Module",
    "stlib_evil.Module",
]


@pytest.mark.parametrize("ref", FOREIGN)
def test_a_foreign_class_in_modules_json(model, canary, ref, monkeypatch, set_module, evil_source):
    (model / "evil.py").write_text(evil_source(canary))
    monkeypatch.syspath_prepend(model)
    monkeypatch.chdir(model)
    set_module(model, 2, type=ref)
    with pytest.raises(errors.UntrustedCode, match="trust_remote_code=True") as raised:
        SentenceTransformer(model)
    assert repr(ref) in str(raised.value)


@pytest.mark.parametrize(
    "ref",
    [
        "/tmp/evil.Module",
        "./evil.Module",
        "../evil.Module",
        "evil.Module()",
        "__import__('os').system",
        "evil",
        "",
        None,
        3,
        ["os.system"],
        "sentence_transformers.util.import_from_string",
        "stlib.util.misc.import_from_string",
        "stlib.util.registry.importlib.import_module",
    ],
)
def test_a_malformed_class_is_refused_even_with_trust(model, canary, ref, set_module, evil_source):
    (model / "evil.py").write_text(evil_source(canary))
    set_module(model, 2, type=ref)
    with pytest.raises((errors.ModelConfigError, errors.UntrustedCode), match=r"modules\.json"):
        SentenceTransformer(model, trust_remote_code=True)


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.eval",
        "evil.Tanh",
        "torch.load",
        "torch.hub.load",
        "torch.nn.modules.module.Module",
        "torchevil.Tanh",
        "Tanh",
        "",
        3,
        ["torch.nn.Tanh"],
    ],
)
def test_an_activation_function_outside_the_list(model, canary, name, monkeypatch, edit, evil_source):
    (model / "evil.py").write_text(evil_source(canary))
    (model / "torchevil.py").write_text(evil_source(canary))
    monkeypatch.syspath_prepend(model)
    edit(model / "3_Dense" / "config.json", activation_function=name)
    with pytest.raises(errors.UntrustedCode, match="not one of torch's") as raised:
        SentenceTransformer(model)
    assert repr(name) in str(raised.value)


@pytest.mark.parametrize(
    "name", ["os.system", "evil.Tokenizer", "builtins.dict", "transformers.AutoTokenizer"]
)
def test_a_word_tokenizer_outside_the_list(model, canary, name, monkeypatch, edit, evil_source):
    (model / "evil.py").write_text(evil_source(canary))
    monkeypatch.syspath_prepend(model)
    edit(model / "wordembedding_config.json", tokenizer_class=name)
    with pytest.raises(errors.UntrustedCode, match="trust_remote_code") as raised:
        SentenceTransformer(model)
    assert repr(name) in str(raised.value)


@pytest.mark.parametrize("name", ["sentence_transformers.models.Dense", "stlib.models.Pooling"])
def test_a_class_of_ours_that_is_no_word_tokenizer(model, canary, name, edit):
    edit(model / "wordembedding_config.json", tokenizer_class=name)
    with pytest.raises(errors.ModelConfigError, match="is no word tokenizer"):
        SentenceTransformer(model)


def test_a_tokenizer_is_no_module(model, canary, set_module):
    set_module(model, 2, type="sentence_transformers.models.tokenizer.WhitespaceTokenizer")
    with pytest.raises(errors.ModelConfigError, match="is no module"):
        SentenceTransformer(model)


AUTO_MAPS = [
    # An architecture that transformers does not know, so that only the model's code could build it
    ({"model_type": "evil", "auto_map": {"AutoConfig": "evil.Module", "AutoModel": "evil.Module"}}, {}),
    ({"model_type": "evil", "auto_map": {"AutoModel": "owner/repo--evil.Module"}}, {}),
    # One that it knows, with code of the model's own
    ({"auto_map": {"AutoModel": "evil.Module", "AutoConfig": "evil.Module"}}, {}),
    ({}, {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["evil.Tokenizer", "evil.Tokenizer"]}}),
    ({}, {"tokenizer_class": "evil.Tokenizer"}),
]


@pytest.mark.parametrize(("config", "tokenizer_config"), AUTO_MAPS)
def test_auto_map(plain_bert, canary, monkeypatch, config, tokenizer_config, edit, evil_source):
    (plain_bert / "evil.py").write_text(evil_source(canary))
    edit(plain_bert / "config.json", **config)
    if tokenizer_config:
        edit(plain_bert / "tokenizer_config.json", **tokenizer_config)
    # No question on the terminal either: a program would wait for the answer
    monkeypatch.setattr("builtins.input", lambda *args: pytest.fail("asked for trust"))
    if config.get("model_type") == "evil":
        with pytest.raises((errors.UntrustedCode, errors.ModelConfigError), match=r"trust_remote_code|evil"):
            SentenceTransformer(plain_bert)
        return
    # Where the classes of transformers can serve instead, they do
    with contextlib.suppress(errors.UntrustedCode, errors.ModelConfigError):
        SentenceTransformer(plain_bert, device="cpu").encode("a")


@pytest.mark.parametrize(
    "method", ["__class__", "push_to_hub", "save_pretrained", "train", "_init_weights", 3]
)
def test_methods_that_take_no_inputs(bert, canary, method, edit):
    """A model's file names the methods that take its inputs; they cannot be any others."""
    entry = {"method": method, "method_output_name": "last_hidden_state"}
    settings = {"modality_config": {"text": entry}, "module_output_name": "token_embeddings"}
    edit(bert / "sentence_bert_config.json", **settings)
    with pytest.raises(errors.InvalidOption, match="names the method"):
        SentenceTransformer(bert)


def test_a_router_with_hostile_routes(tmp_path, canary, evil_source):
    folder = tmp_path / "router"
    SentenceTransformer(modules=[Router({"query": [BoW(["dog"])]})]).save(folder)
    (folder / "evil.py").write_text(evil_source(canary))
    good = json.loads((folder / "router_config.json").read_text())
    name = "query_0_BoW"
    mapping = {**good["parameters"], "route_mappings": {"print(1)": "query"}}
    for changes, error in (
        ({"types": {name: "evil.Module"}}, errors.UntrustedCode),
        ({"types": {name: "os.system"}}, errors.UntrustedCode),
        ({"types": {"../" + name: good["types"][name]}}, errors.UnsafePath),
        ({"types": [name]}, errors.ModelConfigError),
        ({"parameters": mapping}, errors.ModelConfigError),
        ({"parameters": {**good["parameters"], "bogus": 1}}, errors.ModelConfigError),
    ):
        (folder / "router_config.json").write_text(json.dumps({**good, **changes}))
        with pytest.raises(error):
            SentenceTransformer(folder)


def test_a_model_cannot_trust_itself(model, canary, edit, set_module, evil_source):
    (model / "evil.py").write_text(evil_source(canary))
    set_module(model, 2, type="evil.Module", trust_remote_code=True, kwargs=["trust_remote_code"])
    edit(model / "config_sentence_transformers.json", trust_remote_code=True)
    with pytest.raises(errors.UntrustedCode):
        SentenceTransformer(model)
