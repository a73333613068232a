"""Hostile model folders: whatever they name, nothing of it runs, and the message says what was refused.

Every attack tries to create one file, the canary; every test ends by looking that it is not there.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from pathlib import Path

import pytest
import torch

from stlib import SentenceTransformer, errors
from stlib.models import (
    BoW,
    Dense,
    LayerNorm,
    Normalize,
    Pooling,
    Router,
    Transformer,
    WordEmbeddings,
    WordWeights,
)
from stlib.sentence_transformer.modules.tokenizer import WhitespaceTokenizer

VOCAB = ["PADDING", "sort", "list", "dog"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A model with every kind of configuration and weight file, without a transformer."""
    modules = [
        WordEmbeddings(WhitespaceTokenizer(VOCAB, stop_words=()), torch.ones(4, 6)),
        WordWeights(VOCAB, {"dog": 2.0}),
        Pooling(6),
        Dense(6, 4),
        LayerNorm(4),
        Normalize(),
    ]
    folder = tmp_path_factory.mktemp("saved") / "model"
    SentenceTransformer(modules=modules, device="cpu").save(folder)
    return folder


@pytest.fixture
def model(saved, tmp_path) -> Path:
    """A copy of it, to be tampered with."""
    return shutil.copytree(saved, tmp_path / "model")


def edit(path: Path, **changes) -> None:
    value = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**value, **changes}))


def set_module(model: Path, index: int, **changes) -> None:
    entries = json.loads((model / "modules.json").read_text())
    entries[index].update(changes)
    (model / "modules.json").write_text(json.dumps(entries))


def evil_source(canary: Path) -> str:
    return (
        f"open({str(canary)!r}, 'w').write('import')\n"
        "class Module:\n"
        "    @classmethod\n"
        "    def load(cls, *args, **kwargs):\n"
        "        return cls()\n"
        "Tanh = Tokenizer = Module\n"
    )


class Pickled:
    """Unpickling it would create the canary."""

    def __init__(self, canary: Path):
        self.canary = canary

    def __reduce__(self):
        return (os.system, (f"touch {self.canary}",))


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
def test_a_foreign_class_in_modules_json(model, canary, ref, monkeypatch):
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
        "evil.py",
        "evil.Module()",
        "__import__('os').system",
        "evil",
        "",
        None,
        3,
        ["os.system"],
        "sentence_transformers.util.import_from_string",
        "stlib.util.misc.import_from_string",
        "stlib.base.registry.importlib.import_module",
    ],
)
def test_a_malformed_class_is_refused_even_with_trust(model, canary, ref):
    (model / "evil.py").write_text(evil_source(canary)) if ref != "evil.py" else None
    set_module(model, 2, type=ref)
    with pytest.raises((errors.ModelConfigError, errors.UntrustedCode), match=r"modules\.json"):
        SentenceTransformer(model, trust_remote_code=ref != "evil.py")


@pytest.mark.parametrize("folder", ["", "1_WordWeights", "3_Dense", "4_LayerNorm"])
def test_pickled_weights(model, canary, folder):
    weights = model / folder / "model.safetensors"
    weights.unlink()
    torch.save({"weight": Pickled(canary)}, model / folder / "pytorch_model.bin")
    with pytest.raises(errors.WeightsMismatch, match="holds code, which is never run") as raised:
        SentenceTransformer(model)
    assert str(Path(folder) / "pytorch_model.bin") in str(raised.value)
    # Trust is about source code one can read, not about pickles
    with pytest.raises(errors.WeightsMismatch):
        SentenceTransformer(model, trust_remote_code=True)


def test_pickled_weights_of_a_transformer(tmp_path, canary):
    from transformers import BertConfig

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertConfig(vocab_size=10, **sizes).save_pretrained(tmp_path / "bert")
    _save_word_tokenizer(tmp_path / "bert")
    torch.save({"embeddings.position_ids": Pickled(canary)}, tmp_path / "bert" / "pytorch_model.bin")
    with pytest.raises(errors.WeightsMismatch, match="holds code, which is never run"):
        SentenceTransformer(tmp_path / "bert")
    for value in (False, None):
        with pytest.raises(errors.InvalidOption, match="weights_only"):
            SentenceTransformer(tmp_path / "bert", model_kwargs={"weights_only": value})


def _save_word_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    folder.mkdir(exist_ok=True)
    Tokenizer(WordLevel({"[UNK]": 0, "[PAD]": 1}, unk_token="[UNK]")).save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"pad_token": "[PAD]", "unk_token": "[UNK]"}')


@pytest.mark.parametrize(
    "path",
    ["..", "../other", "3_Dense/../../other", "/etc", "C:\\other", "..\\other", "\\\\host\\share", "a\0b"],
)
def test_module_paths_that_leave_the_model(model, canary, path):
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
        ("2_Pooling/config.json", "Pooling"),
        ("3_Dense/config.json", "Dense"),
        ("4_LayerNorm/config.json", "LayerNorm"),
        ("5_Normalize/config.json", "Normalize"),
    ],
)
def test_a_config_with_unknown_keys(model, canary, file, said):
    edit(model / file, __class__="os.system", bogus=1)
    with pytest.raises(
        errors.ModelConfigError, match=f"{file} does not describe a {said}.*(bogus|__class__)"
    ):
        SentenceTransformer(model)


@pytest.mark.parametrize("value", ["[]", '"text"', "{", "\x00", '{"in_features": "six", "out_features": 4}'])
def test_a_config_of_another_form(model, canary, value):
    (model / "3_Dense" / "config.json").write_text(value)
    with pytest.raises(errors.ModelConfigError, match=r"3_Dense/config\.json"):
        SentenceTransformer(model)


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
def test_an_activation_function_outside_the_list(model, canary, name, monkeypatch):
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
def test_a_word_tokenizer_outside_the_list(model, canary, name, monkeypatch):
    (model / "evil.py").write_text(evil_source(canary))
    monkeypatch.syspath_prepend(model)
    edit(model / "wordembedding_config.json", tokenizer_class=name)
    with pytest.raises(errors.UntrustedCode, match="trust_remote_code") as raised:
        SentenceTransformer(model)
    assert repr(name) in str(raised.value)


@pytest.mark.parametrize("name", ["sentence_transformers.models.Dense", "stlib.models.Pooling"])
def test_a_class_of_ours_that_is_no_word_tokenizer(model, canary, name):
    edit(model / "wordembedding_config.json", tokenizer_class=name)
    with pytest.raises(errors.ModelConfigError, match="is no word tokenizer"):
        SentenceTransformer(model)


def test_a_tokenizer_is_no_module(model, canary):
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
def test_auto_map(tmp_path, canary, monkeypatch, config, tokenizer_config):
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    folder = tmp_path / "bert"
    BertModel(BertConfig(vocab_size=10, **sizes)).save_pretrained(folder)
    _save_word_tokenizer(folder)
    (folder / "evil.py").write_text(evil_source(canary))
    edit(folder / "config.json", **config)
    if tokenizer_config:
        edit(folder / "tokenizer_config.json", **tokenizer_config)
    # No question on the terminal either: a program would wait for the answer
    monkeypatch.setattr("builtins.input", lambda *args: pytest.fail("asked for trust"))
    if config.get("model_type") == "evil":
        with pytest.raises((errors.UntrustedCode, errors.ModelConfigError), match=r"trust_remote_code|evil"):
            SentenceTransformer(folder)
        return
    # Where the classes of transformers can serve instead, they do
    with contextlib.suppress(errors.UntrustedCode, errors.ModelConfigError):
        SentenceTransformer(folder, device="cpu").encode("a")


@pytest.fixture(scope="module")
def transformer(tmp_path_factory) -> Path:
    """A saved pipeline around a tiny BERT."""
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    plain = tmp_path_factory.mktemp("plain")
    BertModel(BertConfig(vocab_size=10, **sizes)).save_pretrained(plain)
    _save_word_tokenizer(plain)
    SentenceTransformer(plain, device="cpu").save(plain / "saved")
    return plain / "saved"


@pytest.fixture
def bert(transformer, tmp_path) -> Path:
    return shutil.copytree(transformer, tmp_path / "bert")


GROUPS = ["model_args", "model_kwargs", "tokenizer_args", "processor_kwargs", "config_args", "config_kwargs"]


@pytest.mark.parametrize("group", GROUPS)
def test_settings_cannot_grant_trust_to_code_or_pickles(bert, canary, group):
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
    torch.save({"embeddings.position_ids": Pickled(canary)}, bert / "pytorch_model.bin")
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
def test_settings_of_a_transformer(bert, canary, settings, error):
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
def test_lengths_that_are_none(bert, place, value):
    """The file, the value and what is allowed are named before anything is loaded."""
    setting = value
    for key in reversed(place[1:]):
        setting = {key: setting}
    edit(bert / "sentence_bert_config.json", **{place[0]: setting})
    said = rf"sentence_bert_config\.json.*{place[-1]}={re.escape(repr(value))}; .* number of tokens from 1"
    with pytest.raises(errors.ModelConfigError, match=said):
        SentenceTransformer(bert)


@pytest.mark.parametrize("value", [0, -5, True, "x", 2.5])
def test_a_tokenizer_with_a_length_that_is_none(bert, value):
    edit(bert / "tokenizer_config.json", model_max_length=value)
    said = rf"tokenizer_config\.json.*model_max_length={re.escape(repr(value))}; .* number of tokens from 1"
    with pytest.raises(errors.ModelConfigError, match=said):
        SentenceTransformer(bert)


@pytest.mark.parametrize("value", [int(1e30), 1e30, None])
def test_lengths_that_stand_for_no_limit(bert, value):
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
def test_switches_that_are_none(bert, key, value):
    edit(bert / "sentence_bert_config.json", **{key: value})
    said = rf"sentence_bert_config\.json.*{key}={re.escape(repr(value))}; .* true, false or null"
    with pytest.raises(errors.ModelConfigError, match=said):
        SentenceTransformer(bert)


def test_attention_by_code_of_the_hub(bert, canary):
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
def test_settings_do_not_hide_attention_by_code_of_the_hub(bert, kernels, settings):
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
def test_a_wish_for_other_attention_trusts_no_kernel_of_the_files(bert, kernels, wish):
    edit(bert / "config.json", _attn_implementation="owner/kernel")
    with pytest.raises(errors.UntrustedCode, match="'owner/kernel', which is code of the hub"):
        SentenceTransformer(bert, config_kwargs=wish)


def test_attention_in_a_part_of_a_configuration(kernels):
    """However deep it lies; transformers takes the attention of each part from there."""
    from transformers import BertConfig

    from stlib.base.modules.transformer_config import check_attention

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
def test_files_may_name_attention_of_transformers(bert, canary, name):
    expected = SentenceTransformer(bert, device="cpu").encode("a")
    edit(bert / "sentence_bert_config.json", config_kwargs={"attn_implementation": name})
    model = SentenceTransformer(bert, device="cpu")
    assert model[0].config._attn_implementation == name
    assert model.encode("a") == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "method", ["__class__", "push_to_hub", "save_pretrained", "train", "_init_weights", 3]
)
def test_methods_that_take_no_inputs(bert, canary, method):
    """A model's file names the methods that take its inputs; they cannot be any others."""
    entry = {"method": method, "method_output_name": "last_hidden_state"}
    settings = {"modality_config": {"text": entry}, "module_output_name": "token_embeddings"}
    edit(bert / "sentence_bert_config.json", **settings)
    with pytest.raises(errors.InvalidOption, match="names the method"):
        SentenceTransformer(bert)


def test_a_router_with_hostile_routes(tmp_path, canary):
    folder = tmp_path / "router"
    SentenceTransformer(modules=[Router({"query": [BoW(VOCAB)]})]).save(folder)
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
def test_settings_of_another_form(model, canary, changes):
    edit(model / "config_sentence_transformers.json", **changes)
    with pytest.raises(errors.StlibError, match=next(iter(changes)).removesuffix("_fn_name")):
        SentenceTransformer(model)


def test_a_model_cannot_trust_itself(model, canary):
    (model / "evil.py").write_text(evil_source(canary))
    set_module(model, 2, type="evil.Module", trust_remote_code=True, kwargs=["trust_remote_code"])
    edit(model / "config_sentence_transformers.json", trust_remote_code=True)
    with pytest.raises(errors.UntrustedCode):
        SentenceTransformer(model)
