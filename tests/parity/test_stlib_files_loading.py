"""Every option of loading does what it does in the reference; every damaged file is named with its remedy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from stlib import SentenceTransformer, errors
from stlib.models import Dense, Normalize, Pooling, Transformer

pytestmark = pytest.mark.parity

SOME = ["How do I sort a list?", "short", "the quick brown fox jumps"]


@pytest.fixture(scope="module")
def saved(tiny_bert, tmp_path_factory) -> Path:
    """A saved pipeline."""
    torch.manual_seed(4)
    folder = tmp_path_factory.mktemp("saved") / "model"
    SentenceTransformer(modules=[Transformer(tiny_bert), Pooling(32), Dense(32, 8)], device="cpu").save(
        folder
    )
    return folder


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    """A copy of it, to be changed."""
    shutil.copytree(saved, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def both(saved, reference):
    """Loads a model in both libraries with the same options."""

    def load(name=saved, **options):
        ours = SentenceTransformer(name, device="cpu", **options)
        return ours, reference.SentenceTransformer(str(name), device="cpu", **options)

    return load


def change(folder: Path, **values) -> None:
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


# -- dtype and device


@pytest.mark.parametrize("name", ["dtype", "torch_dtype"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "auto", torch.bfloat16])
def test_dtype(both, name, dtype):
    ours, theirs = both(model_kwargs={name: dtype})
    assert ours.dtype == theirs.dtype
    # later modules follow the first
    assert {p.dtype for p in ours.parameters()} == {theirs.dtype}
    vectors, their_vectors = ours.encode(SOME), theirs.encode(SOME)
    assert vectors.dtype == their_vectors.dtype
    tolerance = 1e-6 if ours.dtype == torch.float32 else 0.05
    np.testing.assert_allclose(vectors, their_vectors, atol=tolerance)


def test_auto_takes_the_dtype_of_the_files(both, saved, tmp_path):
    SentenceTransformer(saved, device="cpu", model_kwargs={"dtype": "bfloat16"}).save(tmp_path / "half")
    ours, theirs = both(tmp_path / "half", model_kwargs={"dtype": "auto"})
    assert ours.dtype == theirs.dtype == torch.bfloat16
    assert (
        SentenceTransformer(tmp_path / "half", device="cpu", model_kwargs={"dtype": "float32"}).dtype
        == torch.float32
    )


def test_unknown_dtypes_are_refused(saved):
    with pytest.raises(errors.InvalidOption, match="'float8' is unknown; use 'auto', 'float32'"):
        SentenceTransformer(saved, model_kwargs={"dtype": "float8"})


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu"), "meta", None])
def test_device(saved, device):
    model = SentenceTransformer(saved, device=device)
    expected = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    assert model.device.type == expected.type
    assert {p.device.type for p in model.parameters()} == {expected.type}


@pytest.mark.parametrize("device_map", ["cpu", {"": "cpu"}, "auto"])
def test_device_map(saved, device_map):
    pytest.importorskip("accelerate", reason="a device map needs accelerate")
    model = SentenceTransformer(saved, model_kwargs={"device_map": device_map})
    assert len({p.device for p in model.parameters()}) == 1
    np.testing.assert_allclose(model.encode(SOME), SentenceTransformer(saved).encode(SOME), atol=1e-6)


# -- settings of the model itself


SETTINGS = {
    "prompts": {"query": "sort: ", "other": "a "},
    "default_prompt_name": "query",
    "similarity_fn_name": "manhattan",
    "truncate_dim": 5,
}


def assert_settings_are_equal(ours, theirs) -> None:
    for name in ("prompts", "default_prompt_name", "similarity_fn_name", "truncate_dim"):
        assert getattr(ours, name) == getattr(theirs, name), name
    np.testing.assert_allclose(ours.encode(SOME), theirs.encode(SOME), atol=1e-6)
    vectors = torch.from_numpy(ours.encode(SOME))
    torch.testing.assert_close(ours.similarity(vectors, vectors), theirs.similarity(vectors, vectors))


@pytest.mark.parametrize(
    "names", [list(SETTINGS), *([name] for name in SETTINGS if name != "default_prompt_name")]
)
def test_settings_by_argument(both, names):
    ours, theirs = both(**{name: SETTINGS[name] for name in names})
    assert_settings_are_equal(ours, theirs)


@pytest.mark.parametrize("writer", ["ours", "theirs"])
def test_settings_by_folder(both, tmp_path, writer):
    dict(zip(("ours", "theirs"), both(**SETTINGS), strict=True))[writer].save(str(tmp_path / "model"))
    ours, theirs = both(tmp_path / "model")
    # Ours keeps the truncation that it was saved with; the reference never writes it.
    if writer == "ours":
        assert ours.truncate_dim == 5
        theirs.truncate_dim = 5
    assert_settings_are_equal(ours, theirs)
    assert ours.similarity_fn_name == "manhattan"
    assert ours.default_prompt_name == "query"


def test_arguments_win_over_the_folder(both, tmp_path, saved):
    SentenceTransformer(saved, device="cpu", **SETTINGS).save(tmp_path / "model")
    options = {
        "prompts": {"query": "other: ", "new": "n "},
        "default_prompt_name": "new",
        "similarity_fn_name": "dot",
        "truncate_dim": 3,
    }
    ours, theirs = both(tmp_path / "model", **options)
    assert_settings_are_equal(ours, theirs)
    assert ours.prompts["query"] == "other: "
    assert ours.encode(SOME).shape == (3, 3)


def test_truncation_inside_a_block(saved):
    model = SentenceTransformer(saved, device="cpu", truncate_dim=6)
    whole = SentenceTransformer(saved, device="cpu").encode(SOME)
    for block in (model.truncate_sentence_embeddings, model.truncate_embeddings):
        with block(truncate_dim=2):
            np.testing.assert_array_equal(model.encode(SOME), whole[:, :2])
            assert model.get_sentence_embedding_dimension() == 2
        with block(None):
            np.testing.assert_array_equal(model.encode(SOME), whole)
        assert model.truncate_dim == 6
    with pytest.raises(RuntimeError, match="inside"), model.truncate_sentence_embeddings(3):
        raise RuntimeError("inside")
    assert model.truncate_dim == 6


# -- generations of the files


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"__version__": "2.0.0"},
        {"__version__": {"sentence_transformers": "2.2.2", "transformers": "4.6.0", "pytorch": "1.8"}},
        {"__version__": {"sentence_transformers": "99.0.0"}, "prompts": {}, "default_prompt_name": None},
        {"__version__": {"pytorch": "2.0"}, "prompts": None, "similarity_fn_name": None, "unknown": [1]},
    ],
)
def test_every_shape_of_the_model_config_loads(folder, saved, config):
    (folder / "config_sentence_transformers.json").write_text(json.dumps(config))
    model = SentenceTransformer(folder, device="cpu")
    assert model.similarity_fn_name == "cosine"
    assert model.prompts == {"query": "", "document": ""}
    np.testing.assert_array_equal(model.encode(SOME), SentenceTransformer(saved, device="cpu").encode(SOME))


@pytest.mark.parametrize(
    "fine",
    [
        {},
        None,
        {"torch": ">=2.0", "python": ">=3.10"},
        {"pytorch": ">=2"},
        {"torch": "nonsense"},
        {"torch": 3},
        ["x"],
    ],
)
def test_requirements_that_are_met_or_make_no_sense(folder, fine):
    change(folder, requirements=fine)
    assert SentenceTransformer(folder, device="cpu").encode(SOME).shape == (3, 8)


def test_requirements_that_are_not_met_are_all_named(folder, reference):
    change(
        folder,
        requirements={
            "torch": "<1.0",
            "no-such-package": {"specifier": ">=2", "reason": "for its kernels"},
            "python": ">=99",
            "transformers": ">=4",
        },
    )
    said = (
        r"torch<1.0, but \S+ is installed; no-such-package>=2, but it is not installed \(for its kernels\); "
    )
    with pytest.raises(errors.MissingDependency, match=said + "python>=99") as caught:
        SentenceTransformer(folder)
    assert str(caught.value).endswith("run: pip install -U 'torch<1.0' 'no-such-package>=2'")
    with pytest.raises(ImportError, match="no-such-package"):
        reference.SentenceTransformer(str(folder))


def test_a_model_without_the_model_config_loads(folder, saved):
    (folder / "config_sentence_transformers.json").unlink()
    expected = SentenceTransformer(saved, device="cpu").encode(SOME)
    np.testing.assert_array_equal(SentenceTransformer(folder, device="cpu").encode(SOME), expected)


def test_a_plain_transformers_model_gets_mean_pooling(both, tiny_bert):
    ours, theirs = both(tiny_bert)
    np.testing.assert_allclose(ours.encode(SOME), theirs.encode(SOME), atol=1e-6)
    assert ours[1].get_config_dict() == Pooling(32, "mean").get_config_dict()


def test_weights_in_shards_load_in_both(both, folder, saved):
    model = SentenceTransformer(folder, device="cpu")
    expected = model.encode(SOME)
    (folder / "model.safetensors").unlink()
    model[0].auto_model.save_pretrained(folder, max_shard_size="20KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 2
    ours, theirs = both(folder)
    np.testing.assert_array_equal(ours.encode(SOME), expected)
    np.testing.assert_allclose(theirs.encode(SOME), expected, atol=1e-6)
    shards[1].unlink()
    with pytest.raises(errors.MissingModelFile, match=rf"{shards[1].name}.*get the model again"):
        SentenceTransformer(folder)


# -- damaged and half-downloaded folders


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def no_lfs(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")


@pytest.mark.parametrize("damage", [truncate, empty])
@pytest.mark.parametrize(
    "name",
    [
        "modules.json",
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
        "1_Pooling/config.json",
        "2_Dense/config.json",
    ],
)
def test_damaged_json_is_named(folder, name, damage):
    damage(folder / name)
    with pytest.raises(errors.ModelConfigError, match=rf"model/{name} is no .*(download|save).* again"):
        SentenceTransformer(folder)


@pytest.mark.parametrize("name", ["", "a.b", "forward", "training", "1"])
def test_names_that_modules_cannot_have(folder, name):
    path = folder / "modules.json"
    entries = json.loads(path.read_text())
    entries[0]["name"] = name
    path.write_text(json.dumps(entries))
    with pytest.raises(errors.ModelConfigError, match=f"of which {name!r} cannot be used"):
        SentenceTransformer(folder)


@pytest.mark.parametrize("damage", [truncate, empty])
@pytest.mark.parametrize("name", ["model.safetensors", "2_Dense/model.safetensors"])
def test_damaged_weights_are_named(folder, name, damage):
    damage(folder / name)
    with pytest.raises(errors.WeightsMismatch, match=rf"model/{name} cannot be read .*again"):
        SentenceTransformer(folder)


def test_a_damaged_shard_is_named(folder):
    model = SentenceTransformer(folder, device="cpu")
    (folder / "model.safetensors").unlink()
    model[0].auto_model.save_pretrained(folder, max_shard_size="20KB")
    shard = sorted(folder.glob("model-*.safetensors"))[1]
    truncate(shard)
    with pytest.raises(errors.WeightsMismatch, match=rf"{shard.name} cannot be read .*again"):
        SentenceTransformer(folder)


def test_a_pointer_of_git_lfs_is_recognised(folder):
    no_lfs(folder / "model.safetensors")
    with pytest.raises(errors.WeightsMismatch, match=r"model.safetensors is only a pointer.*git lfs pull"):
        SentenceTransformer(folder)


def test_a_tokenizer_without_its_vocabulary_is_refused(folder):
    """Its settings alone would make a tokenizer that knows no words, and so vectors of nothing."""
    (folder / "tokenizer.json").unlink()
    assert (folder / "tokenizer_config.json").is_file()
    with pytest.raises(errors.MissingModelFile, match=r"lacks the file 'tokenizer.json'.*again"):
        SentenceTransformer(folder)


@pytest.mark.parametrize(
    "name", ["1_Pooling/config.json", "2_Dense/model.safetensors", "model.safetensors", "config.json"]
)
def test_missing_files_are_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(errors.MissingModelFile, match=rf"lacks the file '{name}'.*download it again"):
        SentenceTransformer(folder)


# -- members of the model


def test_other_members_of_the_model(both, tiny_bert):
    ours, theirs = both()
    assert ours.get_backend() == theirs.get_backend() == "torch"
    assert ours.get_max_seq_length() == theirs.get_max_seq_length() == 64
    assert ours.modalities == theirs.modalities
    assert ours.supports("text")
    assert not ours.supports("image")
    assert ours.get_model_kwargs() == theirs.get_model_kwargs()
    assert ours.config.hidden_size == ours.transformers_model.config.hidden_size == 32
    assert ours.is_singular_input("text")
    assert not ours.is_singular_input(["text"])
    other = type(ours.config)(hidden_size=32)
    ours.config = other
    assert ours.transformers_model.config is other
    assert ours.evaluate(lambda model, path: (model, path), None) == (ours, None)


def test_gradient_checkpointing(saved):
    model = SentenceTransformer(saved, device="cpu")
    model.gradient_checkpointing_enable()
    assert model[0].auto_model.is_gradient_checkpointing
    model.train()
    features = model.preprocess(SOME)
    model(features)["sentence_embedding"].sum().backward()
    assert model[2].linear.weight.grad.abs().sum() > 0


def test_compile(saved):
    model = SentenceTransformer(saved, device="cpu")
    expected = model.encode(SOME)
    model.compile(backend="eager")
    np.testing.assert_allclose(model.encode(SOME), expected, atol=1e-6)


def test_options_reach_the_normalised_pipeline(tiny_bert, both, tmp_path):
    """Older names of the options, in both libraries."""
    modules = [Transformer(tiny_bert), Pooling(32), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(tmp_path / "model")
    ours, theirs = both(
        tmp_path / "model",
        tokenizer_kwargs={"model_max_length": 7},
        config_kwargs={"hidden_dropout_prob": 0.3},
    )
    assert ours.max_seq_length == theirs.max_seq_length == 7
    assert ours.config.hidden_dropout_prob == theirs.config.hidden_dropout_prob == 0.3
    long = ["sort a list of words by key and dictionary"]
    np.testing.assert_allclose(ours.encode(long), theirs.encode(long), atol=1e-6)
