"""Adapters (LoRA and its kin) do what they do in the reference, in memory and through files; hostile ones run
nothing.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from stlib import SentenceTransformer, errors
from stlib.models import Dense, Pooling, StaticEmbedding, Transformer

peft = pytest.importorskip("peft", reason="peft is missing; run: pip install '.[adapters]'")
pytestmark = pytest.mark.parity

SOME = ["How do I sort a list?", "short", "the quick brown fox"]


def lora(**options) -> peft.LoraConfig:
    return peft.LoraConfig(target_modules=["query", "value"], r=4, init_lora_weights=False, **options)


@pytest.fixture(scope="module")
def base(tiny_bert, tmp_path_factory) -> Path:
    """A saved pipeline, and so a model that adapters can name as their base."""
    folder = tmp_path_factory.mktemp("base") / "model"
    SentenceTransformer(modules=[Transformer(tiny_bert), Pooling(32)], device="cpu").save(folder)
    return folder


@pytest.fixture(scope="module")
def adapted(base, tmp_path_factory):
    """An adapter folder as a model with an adapter saves it, and the vectors of that model."""
    folder = tmp_path_factory.mktemp("adapted") / "model"
    model = SentenceTransformer(base, device="cpu")
    torch.manual_seed(5)
    model.add_adapter(lora())
    vectors = model.encode(SOME)
    model.save(folder)
    return folder, vectors


@pytest.fixture
def copy(adapted, tmp_path) -> Path:
    """A copy of the adapter folder, to be spoilt."""
    shutil.copytree(adapted[0], tmp_path / "copy")
    return tmp_path / "copy"


def change(folder: Path, **values) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def encode(folder, **options):
    return SentenceTransformer(folder, device="cpu", **options).encode(SOME)


def by_peft(reference, base, folder) -> np.ndarray:
    """Vectors of the reference with an adapter folder that peft reads into it.

    The reference itself reads folders through transformers, whose version 5.3 leaves encoders' adapters
    random.
    """
    model = reference.SentenceTransformer(str(base), device="cpu")
    peft.PeftModel.from_pretrained(model[0].model, str(folder))
    return model.encode(SOME)


# -- in memory


@pytest.mark.parametrize(
    "config",
    [
        lora(),
        lora(use_dora=True),
        peft.LoHaConfig(target_modules=["query"], r=2, init_weights=False),
        peft.LoKrConfig(target_modules=["query"], r=2, init_weights=False),
        peft.IA3Config(
            target_modules=["query", "output.dense"],
            feedforward_modules=["output.dense"],
            init_ia3_weights=False,
        ),
    ],
    ids=["lora", "dora", "loha", "lokr", "ia3"],
)
@pytest.mark.filterwarnings("ignore:Already found a `peft_config`")  # the reference lets it through
def test_every_step_equals_the_reference(base, reference, config):
    ours = SentenceTransformer(base, device="cpu")
    theirs = reference.SentenceTransformer(str(base), device="cpu")
    seen = []
    for model in (ours, theirs):
        steps = [model.encode(SOME)]
        for seed, name in enumerate(["default", "second"]):
            torch.manual_seed(seed)
            model.add_adapter(config, name)
            steps.append(model.encode(SOME))
        assert model.active_adapters() == ["second"]
        model.set_adapter("default")
        steps.append(model.encode(SOME))
        model.disable_adapters()
        steps.append(model.encode(SOME))
        model.enable_adapters()
        steps.append(model.encode(SOME))
        state = model.get_adapter_state_dict("second")
        model.delete_adapter("second")
        steps.append(model.encode(SOME))
        seen.append((steps, state))
    (steps, state), (their_steps, their_state) = seen
    np.testing.assert_allclose(steps, their_steps, atol=1e-6)
    plain, first, second, again, off, on, kept = steps
    assert np.abs(plain - first).max() > 1e-3
    assert np.abs(first - second).max() > 1e-3
    for same, other in [(again, first), (off, plain), (on, first), (kept, first)]:
        np.testing.assert_allclose(same, other, atol=1e-6)
    assert state.keys() == their_state.keys()
    for name, tensor in state.items():
        assert torch.equal(tensor, their_state[name]), name


def test_the_first_active_adapter_has_a_name(base):
    model = SentenceTransformer(base, device="cpu")
    model.add_adapter(lora())
    assert model.active_adapter() == "default"
    model.delete_adapter("default")
    with pytest.raises(ValueError, match="No adapter"):
        model.active_adapters()


def test_only_the_adapter_learns(base):
    model = SentenceTransformer(base, device="cpu")
    model.add_adapter(lora())
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learning
    assert all("lora_" in name for name in learning)


def test_models_without_a_transformer_say_so(save_tokenizer, tmp_path):
    from tokenizers import Tokenizer

    save_tokenizer(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)], device="cpu")
    assert not model.has_peft_compatible_model()
    for call in (model.active_adapters, model.disable_adapters, lambda: model.add_adapter(lora())):
        with pytest.raises(errors.InvalidOption, match="Transformer module"):
            call()


def test_a_missing_package_is_named(base, adapted, monkeypatch):
    find_spec = importlib.util.find_spec
    model = SentenceTransformer(base, device="cpu")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "peft" else find_spec(name, *a)
    )
    with pytest.raises(errors.MissingDependency, match=r"pip install peft"):
        model.active_adapters()
    with pytest.raises(errors.MissingDependency, match=r"pip install peft"):
        SentenceTransformer(adapted[0])


# -- through files


def test_a_saved_adapter_is_small_and_loads_in_both(base, adapted, reference):
    folder, vectors = adapted
    assert {p.name for p in folder.iterdir()} >= {
        "adapter_config.json",
        "adapter_model.safetensors",
        "modules.json",
    }
    assert not (folder / "model.safetensors").exists()
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == str(base)
    model = SentenceTransformer(folder, device="cpu")
    assert model.active_adapters() == ["default"]
    np.testing.assert_allclose(model.encode(SOME), vectors, atol=1e-6)
    np.testing.assert_allclose(by_peft(reference, base, folder), vectors, atol=1e-6)


def test_both_libraries_write_the_same_files(base, reference, tmp_path):
    from safetensors.torch import load_file

    for name, cls in (("ours", SentenceTransformer), ("theirs", reference.SentenceTransformer)):
        model = cls(str(base), device="cpu")
        torch.manual_seed(7)
        model.add_adapter(lora())
        model.save(str(tmp_path / name))
    ours, theirs = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("ours", "theirs"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    configs = [
        json.loads((tmp_path / name / "adapter_config.json").read_text()) for name in ("ours", "theirs")
    ]
    assert [sorted(config.pop("target_modules")) for config in configs] == [["query", "value"]] * 2
    assert configs[0] == configs[1]


def test_an_adapter_that_the_reference_saved_loads(base, reference, tmp_path):
    theirs = reference.SentenceTransformer(str(base), device="cpu")
    theirs.add_adapter(lora())
    theirs.save(str(tmp_path / "theirs"))
    np.testing.assert_allclose(encode(tmp_path / "theirs"), theirs.encode(SOME), atol=1e-6)
    by_module = SentenceTransformer(
        modules=[Transformer(str(tmp_path / "theirs")), Pooling(32)], device="cpu"
    )
    np.testing.assert_allclose(by_module.encode(SOME), theirs.encode(SOME), atol=1e-6)


def test_what_is_loaded_can_be_saved_again(base, adapted, tmp_path, reference):
    folder, vectors = adapted
    SentenceTransformer(folder, device="cpu").save(tmp_path / "again")
    np.testing.assert_allclose(encode(tmp_path / "again"), vectors, atol=1e-6)
    np.testing.assert_allclose(by_peft(reference, base, tmp_path / "again"), vectors, atol=1e-6)


def test_a_folder_of_peft_alone_gets_mean_pooling(tiny_bert, tmp_path, reference):
    """No modules.json and no tokenizer: both come from the base or by default."""
    from transformers import AutoModel

    torch.manual_seed(2)
    peft.get_peft_model(AutoModel.from_pretrained(tiny_bert), lora()).save_pretrained(str(tmp_path / "bare"))
    model = SentenceTransformer(tmp_path / "bare", device="cpu")
    assert [type(m).__name__ for m in model] == ["Transformer", "Pooling"]
    whole = SentenceTransformer(tiny_bert, device="cpu")
    whole.load_adapter(str(tmp_path / "bare"), adapter_name="mine")
    assert whole.active_adapters() == ["mine"]
    np.testing.assert_allclose(model.encode(SOME), whole.encode(SOME), atol=1e-6)
    theirs = by_peft(reference, tiny_bert, tmp_path / "bare")
    np.testing.assert_allclose(model.encode(SOME), theirs, atol=1e-6)
    assert np.abs(model.encode(SOME) - encode(tiny_bert)).max() > 1e-3


def test_the_base_may_stand_beside_the_adapter(base, adapted, tmp_path, monkeypatch):
    folder, vectors = adapted
    shutil.copytree(folder, tmp_path / "all" / "adapter")
    shutil.copytree(base, tmp_path / "all" / "base")
    for name in ("../base", str(tmp_path / "all" / "base")):
        change(tmp_path / "all" / "adapter", base_model_name_or_path=name)
        np.testing.assert_allclose(encode(tmp_path / "all" / "adapter"), vectors, atol=1e-6)
    monkeypatch.chdir(tmp_path / "all")
    change(tmp_path / "all" / "adapter", base_model_name_or_path="base")
    np.testing.assert_allclose(encode(tmp_path / "all" / "adapter"), vectors, atol=1e-6)


def put_in_cache(folder: Path, cache: Path, name: str) -> None:
    repo = cache / f"models--{name.replace('/', '--')}"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("0" * 40)
    shutil.copytree(folder, repo / "snapshots" / ("0" * 40))


def test_adapter_and_base_come_from_the_cache_without_a_socket(base, copy, adapted, tmp_path, monkeypatch):
    change(copy, base_model_name_or_path="org/base")
    cache = tmp_path / "hub"
    put_in_cache(base, cache, "org/base")
    put_in_cache(copy, cache, "org/adapter")

    def no_network(*args, **kwargs):
        raise AssertionError("a socket was opened")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, no_network)
    model = SentenceTransformer("org/adapter", cache_folder=str(cache), device="cpu")
    np.testing.assert_allclose(model.encode(SOME), adapted[1], atol=1e-6)
    assert model.model_card_data.base_model == "org/base"
    model.save(tmp_path / "saved")
    assert (
        json.loads((tmp_path / "saved" / "adapter_config.json").read_text())["base_model_name_or_path"]
        == "org/base"
    )
    plain = SentenceTransformer("org/base", cache_folder=str(cache), device="cpu")
    plain.load_adapter("org/adapter", cache_dir=str(cache))
    np.testing.assert_allclose(plain.encode(SOME), adapted[1], atol=1e-6)


def test_saving_over_another_kind_of_model_leaves_one_kind(base, adapted, tmp_path):
    folder, vectors = adapted
    target = tmp_path / "target"
    plain = encode(base)
    SentenceTransformer(base, device="cpu").save(target)
    SentenceTransformer(folder, device="cpu").save(target)
    assert not (target / "model.safetensors").exists()
    np.testing.assert_allclose(encode(target), vectors, atol=1e-6)
    SentenceTransformer(base, device="cpu").save(target)
    assert not list(target.glob("adapter*"))
    np.testing.assert_allclose(encode(target), plain, atol=1e-6)


def test_other_modules_are_saved_with_the_adapter(tiny_bert, tmp_path):
    modules = [Transformer(tiny_bert), Pooling(32), Dense(32, 6)]
    model = SentenceTransformer(modules=modules, device="cpu")
    model.add_adapter(lora())
    model.save(tmp_path / "model", safe_serialization=False)
    assert not (tmp_path / "model" / "pytorch_model.bin").exists()
    np.testing.assert_allclose(encode(tmp_path / "model"), model.encode(SOME), atol=1e-6)


@pytest.mark.parametrize(
    "config",
    [
        lora(),
        lora(use_dora=True),
        lora(modules_to_save=["pooler"]),
        peft.LoKrConfig(target_modules=["query"], r=2, init_weights=False),
    ],
    ids=["lora", "dora", "modules_to_save", "lokr"],
)
def test_merging_into_the_base_keeps_the_vectors(base, tmp_path, config):
    model = SentenceTransformer(base, device="cpu")
    shapes = {name: p.shape for name, p in model.named_parameters()}
    model.add_adapter(config)
    expected = model.encode(SOME)
    assert np.abs(expected - encode(base)).max() > 1e-3
    model.merge_and_unload()
    np.testing.assert_allclose(model.encode(SOME), expected, atol=1e-5)
    assert {name: p.shape for name, p in model.named_parameters()} == shapes
    model.save(tmp_path / "whole")
    assert not list((tmp_path / "whole").glob("adapter*"))
    np.testing.assert_allclose(encode(tmp_path / "whole"), expected, atol=1e-5)
    with pytest.raises(errors.InvalidOption, match="no adapter to merge"):
        model.merge_and_unload()


def test_the_remedy_of_other_backends_works(adapted, tmp_path):
    pytest.importorskip("onnxruntime", reason="the ONNX backend needs onnxruntime")
    with pytest.raises(errors.UnsupportedOption, match=r"call model.merge_and_unload\(\), save the model"):
        SentenceTransformer(adapted[0], backend="onnx")
    model = SentenceTransformer(adapted[0], device="cpu")
    model.merge_and_unload()
    model.save(tmp_path / "whole")
    np.testing.assert_allclose(encode(tmp_path / "whole", backend="onnx"), adapted[1], atol=1e-5)


# -- wrong and hostile folders


def refused(folder, error, match):
    with pytest.raises(error, match=match):
        SentenceTransformer(folder, device="cpu")


def test_pickled_adapters_never_run(copy, base, pickled):
    (copy / "adapter_model.safetensors").unlink()
    torch.save({"weight": pickled}, copy / "adapter_model.bin")
    refused(copy, errors.MissingModelFile, r"adapter_model.safetensors.*again")
    with pytest.raises(errors.MissingModelFile, match=r"adapter_model.safetensors"):
        SentenceTransformer(base, device="cpu").load_adapter(str(copy))


def test_code_named_by_an_adapter_never_runs(copy, base, canary, monkeypatch):
    (copy / "evil_core.py").write_text(f"import pathlib; pathlib.Path({str(canary)!r}).touch()\n")
    monkeypatch.syspath_prepend(str(copy))
    for values in (
        {"megatron_config": {"x": 1}, "megatron_core": "evil_core"},
        {"megatron_config": {"x": 1}},
        {"megatron_core": "evil_core"},
    ):
        change(copy, **{"megatron_config": None, "megatron_core": "megatron.core", **values})
        refused(copy, errors.UntrustedCode, "megatron_config or megatron_core")
        with pytest.raises(errors.UntrustedCode, match="megatron"):
            SentenceTransformer(base, device="cpu").load_adapter(str(copy))
    assert "evil_core" not in sys.modules


@pytest.mark.filterwarnings("ignore:`corda_config` specified")
def test_statistics_named_by_an_adapter_are_not_read(copy, adapted, pickled):
    """Where the weights of an adapter started from is of no interest once they are there."""
    torch.save({"weight": pickled}, copy / "cache.pt")
    change(
        copy, corda_config={"cache_file": str(copy / "cache.pt"), "covariance_file": str(copy / "cache.pt")}
    )
    np.testing.assert_allclose(encode(copy), adapted[1], atol=1e-6)


def test_an_adapter_config_beside_a_whole_model_is_checked_as_well(base, tmp_path):
    shutil.copytree(base, tmp_path / "model")
    (tmp_path / "model" / "adapter_config.json").write_text('{"peft_type": "XLORA"}')
    refused(tmp_path / "model", errors.ModelConfigError, "'XLORA'; supported are: ADALORA")


def test_an_adapter_on_an_adapter_is_refused(copy, adapted):
    change(copy, base_model_name_or_path=str(adapted[0]))
    refused(copy, errors.ModelConfigError, "is an adapter itself")


@pytest.mark.parametrize(
    ("values", "error", "match"),
    [
        ({"peft_type": "PROMPT_TUNING"}, errors.ModelConfigError, "'PROMPT_TUNING'; supported are"),
        ({"peft_type": None}, errors.ModelConfigError, "None; supported are"),
        ({"base_model_name_or_path": None}, errors.ModelConfigError, "names no base_model_name_or_path"),
        ({"base_model_name_or_path": "/no/such/model"}, errors.ModelNotFound, "no folder '/no/such/model'"),
    ],
)
def test_configurations_without_meaning_are_refused(copy, values, error, match):
    change(copy, **values)
    refused(copy, error, match)


def test_load_adapter_says_what_it_takes(base, adapted, reference):
    model = SentenceTransformer(base, device="cpu")
    with pytest.raises(errors.UnknownKeyword, match="bogus; it takes: token, cache_dir, revision"):
        model.load_adapter(str(adapted[0]), bogus=1)
    with pytest.raises(errors.InvalidOption, match="there is no adapter to load"):
        model.load_adapter()
    with pytest.raises(errors.ModelNotFound, match="local_files_only"):
        model.load_adapter("org/none", local_files_only=True)
    model.load_adapter(adapted[0])
    with pytest.raises(errors.InvalidOption, match="has an adapter 'default'"):
        model.load_adapter(adapted[0])
    state = model.get_adapter_state_dict()
    other = SentenceTransformer(base, device="cpu")
    other.load_adapter(peft_config=lora(), adapter_state_dict=state, adapter_name="memory", is_trainable=True)
    np.testing.assert_allclose(other.encode(SOME), adapted[1], atol=1e-6)
    assert any(p.requires_grad for p in other.parameters())
    narrow = {name: tensor[:, :1] for name, tensor in state.items()}
    for weights in (narrow, dict(list(state.items())[1:]), {**state, "extra": torch.zeros(1)}):
        with pytest.raises(errors.WeightsMismatch, match="does not fit BertModel"):
            SentenceTransformer(base, device="cpu").load_adapter(
                peft_config=lora(), adapter_state_dict=weights
            )
    other.add_adapter(lora(), "second")
    other.set_adapter(["memory", "second"])
    with pytest.raises(errors.InvalidOption, match="memory, second are active together"):
        other.save("never")


def test_damaged_adapters_are_refused(copy):
    weights = copy / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    refused(copy, errors.WeightsMismatch, r"adapter_model.safetensors cannot be read")
    (copy / "adapter_config.json").write_text("{")
    refused(copy, errors.ModelConfigError, "no valid JSON")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_adapters_take_the_dtype_of_their_base(adapted, dtype):
    folder, vectors = adapted
    model = SentenceTransformer(folder, device="cpu", model_kwargs={"dtype": dtype})
    assert model.dtype == getattr(torch, dtype)
    np.testing.assert_allclose(model.encode(SOME), vectors, atol=0.05)
