"""Models come from a hub and go to it: a small HTTP server on 127.0.0.1 speaks the hub's few endpoints (the
fixture ``hub``), and huggingface_hub, unchanged, talks to it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from stlib import SentenceTransformer, errors
from stlib.models import Dense, Pooling, Transformer

pytestmark = pytest.mark.parity

SOME = ["How do I sort a list?", "short", "the quick brown fox"]
TOKEN = "hf_secret"  # the one that the hub takes


@pytest.fixture(scope="module")
def saved(tiny_bert, tmp_path_factory):
    """A saved pipeline and its vectors."""
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("saved") / "model"
    model = SentenceTransformer(modules=[Transformer(tiny_bert), Pooling(32), Dense(32, 6)], device="cpu")
    model.save(folder)
    return folder, model.encode(SOME)


def encode(name, **options):
    return SentenceTransformer(name, device="cpu", **options).encode(SOME)


# -- from the hub


def test_a_model_id_is_downloaded_once(hub, saved):
    folder, vectors = saved
    hub.put_folder("org/model", folder)
    hub.commit("org/model", "main", {"pytorch_model.bin": b"x", "onnx/model.onnx": b"x", "tf_model.h5": b"x"})
    np.testing.assert_array_equal(encode("org/model"), vectors)
    fetched = hub.fetched()
    assert len(fetched) == len(set(fetched))
    assert {"modules.json", "model.safetensors", "1_Pooling/config.json", "2_Dense/model.safetensors"} <= set(
        fetched
    )
    # formats that are never read are never fetched
    assert not {"pytorch_model.bin", "onnx/model.onnx", "tf_model.h5"} & set(fetched)
    hub.requests.clear()
    np.testing.assert_array_equal(encode("org/model"), vectors)
    assert hub.requests == []


def test_a_bare_name_is_looked_for_in_the_organization_and_then_alone(hub, saved, tiny_bert, tmp_path):
    folder, vectors = saved
    hub.put_folder("sentence-transformers/tiny", folder)
    np.testing.assert_array_equal(encode("tiny"), vectors)
    hub.put_folder("plain", Path(tiny_bert))
    model = SentenceTransformer("plain", device="cpu")
    assert [type(m).__name__ for m in model] == ["Transformer", "Pooling"]
    assert model[1].pooling_mode == "mean"
    np.testing.assert_array_equal(model.encode(SOME), encode(tiny_bert))
    # cards and adapters refer to it by this name, not by a path in somebody's cache
    assert model.transformers_model.name_or_path == "plain"
    assert model.model_card_data.base_model == "plain"
    built = SentenceTransformer(modules=[Transformer("plain", cache_dir=tmp_path / "cache"), Pooling(32)])
    assert built.model_card_data.base_model == "plain"


def test_a_revision_is_a_branch_or_a_commit(hub, saved, tmp_path):
    folder, vectors = saved
    first = hub.put_folder("org/model", folder)
    model = SentenceTransformer(folder, device="cpu")
    with torch.no_grad():
        model[2].linear.weight.mul_(-2)
    model.save(tmp_path / "changed")
    hub.repos["org/model"]["branches"]["dev"] = first
    second = hub.put_folder("org/model", tmp_path / "changed", "dev")
    changed = model.encode(SOME)
    np.testing.assert_array_equal(encode("org/model"), vectors)
    np.testing.assert_array_equal(encode("org/model", revision="dev"), changed)
    np.testing.assert_array_equal(encode("org/model", revision=first), vectors)
    np.testing.assert_array_equal(encode("org/model", revision=second), changed)
    with pytest.raises(errors.ModelNotFound, match=r"org/model.*RevisionNotFoundError"):
        encode("org/model", revision="nope")


@pytest.mark.parametrize("name", ["token", "use_auth_token"])
def test_a_private_model_needs_the_token(hub, saved, name):
    folder, vectors = saved
    hub.put_folder("org/secret", folder)
    hub.private.add("org/secret")
    with pytest.raises(
        errors.ModelNotFound, match=r"'org/secret'.*could not be downloaded.*check the name.*token"
    ):
        encode("org/secret", token=False)
    np.testing.assert_array_equal(encode("org/secret", **{name: TOKEN}), vectors)


def test_downloads_land_in_the_folder_that_is_named(hub, saved, tmp_path, monkeypatch):
    folder, vectors = saved
    hub.put_folder("org/model", folder)
    with pytest.raises(errors.ModelNotFound, match="local_files_only=True forbids the download"):
        encode("org/model", local_files_only=True)
    assert hub.requests == []
    encode("org/model", cache_folder=str(tmp_path / "mine"))
    assert (tmp_path / "mine" / "models--org--model" / "refs" / "main").is_file()
    assert not (tmp_path / "cache").exists()
    encode("org/model")
    assert (tmp_path / "cache" / "models--org--model" / "refs" / "main").is_file()
    np.testing.assert_array_equal(encode("org/model", local_files_only=True), vectors)


def test_a_half_filled_cache_is_completed(hub, saved, tmp_path, caplog):
    folder, vectors = saved
    hub.put_folder("org/model", folder)
    encode("org/model")
    (pooling,) = (tmp_path / "cache").glob("models--org--model/snapshots/*/1_Pooling/config.json")
    for missing in (pooling, pooling.parents[1] / "tokenizer.json"):
        blob = missing.resolve()
        missing.unlink()
        blob.unlink()
    with pytest.raises(errors.MissingModelFile, match=r"(tokenizer|1_Pooling/config).json"):
        encode("org/model", local_files_only=True)
    np.testing.assert_array_equal(encode("org/model"), vectors)
    pooling.unlink()
    hub.repos.clear()
    with pytest.raises(errors.MissingModelFile, match=r"1_Pooling/config.json.*again"):
        encode("org/model")
    assert "what the cache lacks was not fetched" in caplog.text


def test_a_hub_that_is_not_there_is_one_error(hub, monkeypatch):
    import huggingface_hub.constants as constants

    with pytest.raises(errors.ModelNotFound, match=r"'org/none' is neither a folder nor in the cache"):
        encode("org/none")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(errors.ModelNotFound, match=r"ConnectError.*check the name, your connection"):
        encode("org/none")


def test_a_pipeline_with_old_weights_in_one_module_is_fetched_whole(hub, saved, tmp_path):
    """Root weights are safetensors, those of the Dense module a torch file, as in many published models."""
    folder, vectors = saved
    hub.put_folder("org/mixed", folder)
    state = hub.files("org/mixed")
    del state["2_Dense/model.safetensors"]
    torch.save(SentenceTransformer(folder, device="cpu")[2].state_dict(), tmp_path / "dense.bin")
    state["2_Dense/pytorch_model.bin"] = (tmp_path / "dense.bin").read_bytes()
    np.testing.assert_array_equal(encode("org/mixed"), vectors)


def test_an_adapter_brings_its_base_along(hub, saved, tmp_path):
    peft = pytest.importorskip("peft", reason="adapters need peft; run: pip install '.[adapters]'")
    hub.put_folder("org/base", saved[0])
    model = SentenceTransformer("org/base", device="cpu")
    model.add_adapter(peft.LoraConfig(target_modules=["query"], r=2, init_lora_weights=False))
    vectors = model.encode(SOME)
    model.push_to_hub("org/adapter", token=TOKEN)
    assert "model.safetensors" not in hub.files("org/adapter")
    hub.private |= {"org/base", "org/adapter"}
    with pytest.raises(errors.ModelNotFound, match="org/adapter"):
        encode("org/adapter", cache_folder=str(tmp_path / "half"), token=False)
    fresh = {"cache_folder": str(tmp_path / "fresh"), "token": TOKEN}
    np.testing.assert_allclose(encode("org/adapter", **fresh), vectors, atol=1e-6)
    hub.requests.clear()
    np.testing.assert_allclose(encode("org/adapter", **fresh), vectors, atol=1e-6)
    assert hub.requests == []
    plain = SentenceTransformer("org/base", device="cpu", **fresh)
    plain.load_adapter("org/adapter", cache_dir=str(tmp_path / "third"), token=TOKEN)
    np.testing.assert_allclose(plain.encode(SOME), vectors, atol=1e-6)


def test_the_environment_names_hub_and_cache(hub, saved, tmp_path):
    folder, vectors = saved
    hub.put_folder("org/model", folder)
    code = (
        "from stlib import SentenceTransformer\n"
        f"print(SentenceTransformer('org/model', device='cpu').encode({SOME!r}).tolist())"
    )
    environment = {"HF_ENDPOINT": hub.url, "SENTENCE_TRANSFORMERS_HOME": str(tmp_path / "home"), "PATH": ""}
    command = [sys.executable, "-c", code]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=root)
    np.testing.assert_array_equal(np.array(json.loads(done.stdout), dtype=np.float32), vectors)
    assert (tmp_path / "home" / "models--org--model").is_dir()


def test_an_exported_file_is_fetched_instead_of_torch_weights(hub, saved, tmp_path):
    folder, vectors = saved
    pytest.importorskip("onnxruntime", reason="the ONNX backend needs onnxruntime")
    SentenceTransformer(folder, device="cpu", backend="onnx").save(tmp_path / "exported")
    hub.put_folder("org/both", folder)
    hub.put_folder("org/both", tmp_path / "exported")
    hub.commit(
        "org/both", "main", {"onnx/model_O4.onnx": b"another", "openvino/openvino_model.xml": b"another"}
    )
    np.testing.assert_allclose(encode("org/both", backend="onnx"), vectors, atol=1e-5)
    fetched = set(hub.fetched())
    assert "onnx/model.onnx" in fetched
    assert not {"model.safetensors", "onnx/model_O4.onnx", "openvino/openvino_model.xml"} & fetched
    hub.requests.clear()
    np.testing.assert_allclose(encode("org/both", backend="onnx"), vectors, atol=1e-5)
    assert hub.requests == []
    # torch finds the cache incomplete and fetches what it lacks
    np.testing.assert_array_equal(encode("org/both"), vectors)
    assert hub.fetched() == ["model.safetensors"]


# -- to the hub


@pytest.fixture
def model(saved):
    return SentenceTransformer(saved[0], device="cpu")


def test_push_creates_a_repository_that_loads(hub, model, saved):
    model.model_card_text = None
    url = model.push_to_hub("org/new", token=TOKEN)
    (sha,) = {sha for sha in hub.repos["org/new"]["commits"] if set(sha) != {"0"}}
    assert url == f"{hub.url}/org/new/commit/{sha}"
    assert hub.commit_messages[0]["summary"] == "Add new SentenceTransformer model"
    assert "org/new" not in hub.private
    assert set(hub.files("org/new")) - {".gitattributes"} == {
        path.relative_to(saved[0]).as_posix() for path in saved[0].rglob("*") if path.is_file()
    }
    assert 'SentenceTransformer("org/new")' in hub.files("org/new")["README.md"].decode()
    np.testing.assert_array_equal(encode("org/new"), saved[1])
    with pytest.raises(OSError, match="409"):
        model.push_to_hub("org/new", token=TOKEN)


def test_push_options(hub, model, saved):
    model.push_to_hub("org/new", token=TOKEN, private=True, commit_message="Mine", safe_serialization=False)
    assert "org/new" in hub.private
    assert hub.commit_messages[0]["summary"] == "Mine"
    assert "pytorch_model.bin" in hub.files("org/new")
    assert "model.safetensors" not in hub.files("org/new")
    model.push_to_hub("org/new", token=TOKEN, exist_ok=True, revision="dev")
    assert "model.safetensors" in hub.files("org/new", "dev")
    assert "model.safetensors" not in hub.files("org/new")
    np.testing.assert_array_equal(encode("org/new", revision="dev", token=TOKEN), saved[1])


def test_push_as_pull_request(hub, model, saved):
    hub.put_folder("org/theirs", saved[0])
    before = hub.files("org/theirs")
    url = model.push_to_hub("org/theirs", token=TOKEN, create_pr=True)
    assert url == f"{hub.url}/org/theirs/discussions/1"
    assert hub.files("org/theirs") == before
    assert "Pooling(" in hub.commit_messages[0]["description"]
    assert "refs/pr/" in hub.commit_messages[0]["description"]
    np.testing.assert_array_equal(encode("org/theirs", revision="refs/pr/1"), saved[1])


def test_push_keeps_the_card_of_the_repository_unless_told(hub, model):
    hub.create("org/carded")
    hub.commit("org/carded", "main", {"README.md": b"# Theirs\n"})
    model.push_to_hub("org/carded", token=TOKEN, exist_ok=True)
    assert hub.files("org/carded")["README.md"] == b"# Theirs\n"
    model.push_to_hub("org/carded", token=TOKEN, exist_ok=True, replace_model_card=True)
    assert b"org/carded" in hub.files("org/carded")["README.md"]


def test_push_of_a_folder_as_it_is(hub, model, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "anything.txt").write_text("as it is")
    model.push_to_hub("org/folder", token=TOKEN, local_model_path=str(tmp_path / "folder"))
    assert {name for name in hub.files("org/folder") if name != ".gitattributes"} == {"anything.txt"}
    with pytest.raises(errors.ModelNotFound, match="local_model_path"):
        model.push_to_hub("org/folder2", token=TOKEN, local_model_path=str(tmp_path / "none"))
    assert "org/folder2" not in hub.repos


def test_save_to_hub_is_the_older_name(hub, model, saved):
    model.model_card_text = None
    model.save_to_hub("name", "org", token=TOKEN, train_datasets=["sentence-transformers/all-nli", "mine"])
    assert hub.commit_messages[0]["summary"] == "Add new model."
    card = hub.files("org/name")["README.md"].decode()
    assert "datasets:\n- sentence-transformers/all-nli\n" in card
    assert "mine" in card
    model.save_to_hub("org/other", organization="org", token=TOKEN)
    assert {"org/name", "org/other"} <= set(hub.repos)
    with pytest.raises(errors.InvalidOption, match="two owners"):
        model.save_to_hub("me/other", organization="org", token=TOKEN)


def test_pushed_models_load_in_the_reference(hub, model, saved, reference):
    model.push_to_hub("org/both", token=TOKEN)
    other = reference.SentenceTransformer("org/both", device="cpu")
    np.testing.assert_allclose(other.encode(SOME), saved[1], atol=1e-6)
    other.push_to_hub("org/theirs", token=TOKEN)
    np.testing.assert_allclose(encode("org/theirs"), saved[1], atol=1e-6)


# -- exported files


def test_exported_files_are_pushed_and_loaded(hub, saved, tmp_path):
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is missing; run: pip install '.[onnx]'")
    from stlib.backend import export_dynamic_quantized_onnx_model, export_optimized_onnx_model

    folder, vectors = saved
    hub.put_folder("org/model", folder)
    model = SentenceTransformer("org/model", backend="onnx", device="cpu")
    np.testing.assert_allclose(model.encode(SOME), vectors, atol=1e-5)
    export_optimized_onnx_model(model, "O2", "org/model", push_to_hub=True)
    assert "onnx/model_O2.onnx" in hub.files("org/model")
    export_dynamic_quantized_onnx_model(model, "avx2", "org/model", push_to_hub=True, create_pr=True)
    assert "onnx/model_quint8_avx2.onnx" not in hub.files("org/model")
    assert "onnx/model_quint8_avx2.onnx" in hub.files("org/model", "refs/pr/1")
    assert 'backend="onnx"' in hub.commit_messages[-1]["description"]
    options = {"backend": "onnx", "cache_folder": str(tmp_path / "fresh")}
    kept = encode("org/model", model_kwargs={"file_name": "onnx/model_O2.onnx"}, **options)
    np.testing.assert_allclose(kept, vectors, atol=1e-5)
    assert "onnx/model_O2.onnx" in hub.fetched()
