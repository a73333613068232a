"""Model folders with pipes, devices, links and files beyond all size: refused by name, and at once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from stlib import CrossEncoder, SentenceTransformer, errors
from stlib.models import CNN, LSTM, Dense, LayerNorm, Pooling, StaticEmbedding, WordEmbeddings
from stlib.runtime import Encoder, InteractionReranker
from stlib.runtime.bundled import default_reranker_path
from stlib.sentence_transformer.modules.tokenizer import WhitespaceTokenizer

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the platform has no pipes in folders")

VAST = 1 << 40
LONGEST = 20  # seconds: a test that waits for a pipe is ended


@pytest.fixture(autouse=True)
def ends() -> Iterator[None]:
    def stop(*_: Any) -> None:
        pytest.fail(f"still reading after {LONGEST} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def words(*more: str, **ids: int) -> Tokenizer:
    vocabulary = {word: i for i, word in enumerate(["[UNK]", "a", "b", *more])} | ids
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer


@pytest.fixture(scope="module")
def static_saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("static") / "model"
    SentenceTransformer(modules=[StaticEmbedding(words(), torch.eye(3)), Dense(3, 2)], device="cpu").save(
        folder
    )
    return folder


@pytest.fixture
def static(static_saved, tmp_path) -> Path:
    """A model that the runtime and the full library load."""
    return shutil.copytree(static_saved, tmp_path / "static")


@pytest.fixture
def interaction(tmp_path) -> Path:
    """A copy of the bundled reranker."""
    return shutil.copytree(default_reranker_path(), tmp_path / "interaction")


def of_transformers(folder: Path) -> SentenceTransformer:
    return SentenceTransformer(folder, device="cpu")


def as_cross_encoder(folder: Path) -> CrossEncoder:
    return CrossEncoder(folder, device="cpu")


LOADS: dict[str, tuple[Callable[[Path], Any], list[str]]] = {
    "static": (
        Encoder.load,
        [
            "modules.json",
            "config_sentence_transformers.json",
            "tokenizer.json",
            "model.safetensors",
            "1_Dense/config.json",
            "1_Dense/model.safetensors",
        ],
    ),
    "interaction": (InteractionReranker.load, ["config.json", "model.safetensors"]),
    "bert": (
        of_transformers,
        [
            "modules.json",
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
            "1_Pooling/config.json",
            "vocab.txt",
            "merges.txt",
            "pytorch_model.bin",
        ],
    ),
    "plain_bert": (as_cross_encoder, ["config.json", "model.safetensors", "tokenizer.json"]),
}
CASES = [(model, load, name) for model, (load, names) in LOADS.items() for name in names]
CASES += [("static", of_transformers, name) for name in LOADS["static"][1]]


def make_pipe(path: Path) -> str:
    os.mkfifo(path)
    return "is a pipe"


def link_to_a_device(path: Path) -> str:
    path.symlink_to("/dev/zero")
    return r"is a device \(by a link to /dev/zero\)"


def link_outside(path: Path) -> str:
    folder = next(above for above in path.parents if (above / "README.md").exists() or above.name == "plain")
    (folder.parent / "secret").write_text("{}")
    path.symlink_to(folder.parent / "secret")
    return "is a link that leaves the model's folder, to .*secret"


def make_vast(path: Path) -> str:
    with path.open("wb") as file:
        file.truncate(VAST)  # without taking room on the disk
    return r"has 1,024\.00 GiB"


@pytest.mark.parametrize("replace", [make_pipe, link_to_a_device, link_outside, make_vast])
@pytest.mark.parametrize(
    ("model", "load", "name"), CASES, ids=[f"{load.__qualname__}-{name}" for _, load, name in CASES]
)
def test_what_is_no_plain_file_of_the_folder(request, tmp_path, model, load, name, replace):
    folder = request.getfixturevalue(model)
    path = folder / name
    path.unlink(missing_ok=True)
    said = replace(path)
    with pytest.raises((errors.ModelConfigError, errors.UnsafePath), match=said) as raised:
        load(folder)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("load", [Encoder.load, of_transformers])
def test_links_within_the_folder_and_into_its_download_cache_are_followed(static, tmp_path, load):
    """huggingface_hub keeps files as ``blobs/…`` and links to them from ``snapshots/<commit>``."""
    cache = tmp_path / "models--owner--name"
    snapshot = cache / "snapshots" / "0123"
    snapshot.parent.mkdir(parents=True)
    static.rename(snapshot)
    (cache / "blobs").mkdir()
    for number, path in enumerate(sorted(path for path in snapshot.rglob("*") if path.is_file())):
        blob = path.rename(cache / "blobs" / str(number))
        path.symlink_to(os.path.relpath(blob, path.parent))
    (snapshot / "again.json").symlink_to("modules.json")
    (tmp_path / "link").symlink_to(snapshot)
    for folder in (snapshot, tmp_path / "link"):
        assert load(folder).encode(["a b"]).shape == (1, 2)


@pytest.mark.parametrize("load", [Encoder.load, of_transformers])
def test_other_things_beside_a_model_are_no_matter(static, tmp_path, load):
    (tmp_path / "run.log").write_text("log")
    (static / "run.log").symlink_to(tmp_path / "run.log")
    (static / "gone.json").symlink_to("nowhere")
    (static / "runs").symlink_to(tmp_path)
    assert load(static).encode(["a b"]).shape == (1, 2)


@pytest.fixture(scope="module")
def many_tensors() -> bytes:
    """A sound safetensors file of 130,000 empty tensors."""
    entry = '"t%d": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}'
    header = ("{" + ", ".join(entry % i for i in range(130_000)) + "}").encode()
    return struct.pack("<Q", len(header)) + header


@pytest.mark.parametrize("load", [Encoder.load, of_transformers])
def test_a_header_of_very_many_tensors(static, load, many_tensors):
    path = static / "model.safetensors"
    path.write_bytes(many_tensors)
    with pytest.raises(errors.ModelConfigError, match=r"has a header of some 1\d\d,\d{3} tensors") as raised:
        load(static)
    assert str(path) in str(raised.value)


def test_a_header_of_very_many_tensors_of_a_transformer(bert, many_tensors):
    (bert / "model.safetensors").write_bytes(many_tensors)
    with pytest.raises(errors.ModelConfigError, match=r"model\.safetensors has a header of some"):
        of_transformers(bert)


@pytest.mark.parametrize("load", [Encoder.load, of_transformers])
@pytest.mark.parametrize("content", ["[" * 200_000, '{"prompts": ' * 100_000, "9" * 10_000], ids=len)
@pytest.mark.parametrize("name", ["modules.json", "config_sentence_transformers.json", "1_Dense/config.json"])
def test_json_without_end(static, load, content, name):
    (static / name).write_text(content)
    with pytest.raises(errors.ModelConfigError, match=name):
        load(static)


# -- tokens beyond the table


@pytest.mark.parametrize("many", [1, 600])
def test_a_static_model_with_tokens_beyond_its_rows(static, many):
    """As many tokens as rows, and one of them far beyond: the number of tokens does not show it."""
    words(b=1_000_000).save(str(static / "tokenizer.json"))
    for load in (Encoder.load, of_transformers):
        model = load(static)
        assert model.encode(["a a"] * many).shape == (many, 2)
        with pytest.raises(errors.ModelConfigError, match=r"the token 1,000,000, and .* up to 2\b"):
            model.encode(["a b"] * many)


def test_a_transformer_with_tokens_beyond_its_rows(bert):
    words(b=1_000_000).save(str(bert / "tokenizer.json"))
    model = of_transformers(bert)
    with pytest.raises(
        errors.ModelConfigError, match="the token 1,000,000, and the model has vectors up to 9"
    ):
        model.encode(["a b"])


def test_words_beyond_the_rows_of_word_embeddings(model):
    settings = json.loads((model / "whitespacetokenizer_config.json").read_text())
    settings["vocab"] = [*settings["vocab"], *map(str, range(10)), "beyond"]
    (model / "whitespacetokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(errors.ModelConfigError, match="the token 14, and the model has vectors up to 3"):
        SentenceTransformer(model, device="cpu").encode("beyond")


# -- panics


PLAIN = json.loads(words().to_str())
PANICS = {
    "when read": {"normalizer": {"type": "Precompiled", "precompiled_charsmap": ""}},
    "in a text": {"pre_tokenizer": {"type": "FixedLength", "length": 0}},
    "without a type": {
        "model": {
            "type": "WordPiece",
            "unk_token": "[X]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {"b": 1},
        }
    },
}
AROUND = {
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "X", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [],
        "special_tokens": {},
    }
}


@pytest.mark.parametrize("changes", PANICS.values(), ids=PANICS)
@pytest.mark.parametrize("load", [Encoder.load, of_transformers])
def test_panics_of_a_static_models_tokenizer(static, load, changes):
    (static / "tokenizer.json").write_text(json.dumps({**PLAIN, **changes}))
    with pytest.raises(errors.ModelConfigError, match=r"tokenizer.* failed \(.+\); it is damaged"):
        load(static).encode(["c d"])


@pytest.fixture
def fast(bert, edit) -> Path:
    """A transformer whose tokenizer is what ``tokenizer.json`` says, and no class's own."""
    edit(bert / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    return bert


@pytest.mark.parametrize("changes", [*PANICS.values(), AROUND], ids=[*PANICS, "around a text"])
@pytest.mark.parametrize("prompt", [None, "a "])
def test_panics_of_a_transformers_tokenizer(fast, changes, prompt):
    (fast / "tokenizer.json").write_text(json.dumps({**PLAIN, **changes}))
    with pytest.raises(errors.ModelConfigError, match=r" failed \(.+\); it is damaged"):
        of_transformers(fast).encode(["c d"], prompt=prompt)


def test_panics_in_the_thread_that_tokenises_ahead(fast):
    (fast / "tokenizer.json").write_text(json.dumps({**PLAIN, **PANICS["in a text"]}))
    with pytest.raises(errors.ModelConfigError, match=r"tokenizer.* failed \(.+\); it is damaged"):
        of_transformers(fast).encode(["c d"] * 50, batch_size=1)


def test_weights_of_a_vast_size_that_the_header_admits(static):
    """A table whose header tells the truth about an absurd size is refused before it is read."""
    path = static / "model.safetensors"
    save_file({"embedding.weight": np.zeros((3, 3), np.float32)}, path)
    with path.open("r+b") as file:
        file.truncate(16 << 30)
    with pytest.raises(
        errors.ModelConfigError, match=r"has 16\.00 GiB, and a model's \.safetensors at most 8"
    ):
        Encoder.load(static)


# -- numbers of a configuration


@pytest.fixture
def layers(tmp_path) -> Path:
    """A model of the modules whose sizes stand in their configuration."""
    modules = [
        WordEmbeddings(WhitespaceTokenizer(["PADDING", "dog"], stop_words=()), torch.ones(2, 6)),
        LSTM(6, 3),
        CNN(6, 4, [1, 3]),
        Pooling(8),
        Dense(8, 4),
        LayerNorm(4),
    ]
    SentenceTransformer(modules=modules, device="cpu").save(tmp_path / "layers")
    return tmp_path / "layers"


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("4_Dense/config.json", {"out_features": 10**12}),
        ("4_Dense/config.json", {"out_features": 90_000, "in_features": 90_000}),
        ("4_Dense/config.json", {"out_features": 10**30}),
        ("4_Dense/config.json", {"out_features": -1}),
        ("1_LSTM/lstm_config.json", {"num_layers": 10**9}),
        ("1_LSTM/lstm_config.json", {"hidden_dim": 90_000}),
        ("2_CNN/cnn_config.json", {"kernel_sizes": [1, 10**9]}),
        ("5_LayerNorm/config.json", {"dimension": 10**13}),
    ],
)
def test_sizes_that_the_weights_do_not_bear_out(layers, edit, name, changes):
    assert of_transformers(layers).encode("dog").shape == (4,)
    edit(layers / name, **changes)
    with pytest.raises(errors.ModelConfigError, match=name):
        of_transformers(layers)
