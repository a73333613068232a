"""Folders of ONNX models with pipes, devices, links, vast files and panicking tokenizers: refused by name."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from stlib import errors
from stlib.runtime import Encoder, InvalidModelError, Reranker
from stlib.runtime.modules import onnx_files

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the platform has no pipes in folders")

LONGEST = 20  # seconds
FILES = ["onnx/model.onnx", "tokenizer.json", "config.json", "tokenizer_config.json"]
AROUND_NOTHING = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "X", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"SpecialToken": {"id": "X", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
    "special_tokens": {},
}


@pytest.fixture(autouse=True)
def ends() -> Iterator[None]:
    def stop(*_: Any) -> None:
        pytest.fail(f"still reading after {LONGEST} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def reranker(folder: Path, colours: Any) -> Path:
    """The score of a pair is the mean of its token ids."""
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], ["logits"], axes=[1], keepdims=1),
    ]
    onnx.save(colours.graph(output="logits", nodes=nodes, shape=("texts", 1)), folder / "onnx" / "model.onnx")
    (folder / "modules.json").unlink()
    colours.write(folder / "config.json", {"num_labels": 1, "max_position_embeddings": 12})
    return folder


def encode(folder: Path) -> Any:
    return Encoder.load(folder).encode(["red car", "fast"])


def score(folder: Path) -> Any:
    return Reranker.load(folder).scores("red", ["car", "fast"])


USES: dict[str, Callable[[Path], Any]] = {"folder": encode, "reranker": score}


def make_pipe(path: Path, tmp_path: Path) -> str:
    os.mkfifo(path)
    return "is a pipe"


def link_to_a_device(path: Path, tmp_path: Path) -> str:
    path.symlink_to("/dev/zero")
    return r"is a device \(by a link to /dev/zero\)"


def link_outside(path: Path, tmp_path: Path) -> str:
    (tmp_path / "secret").write_text("{}")
    path.symlink_to(tmp_path / "secret")
    return "is a link that leaves the model's folder"


def make_vast(path: Path, tmp_path: Path) -> str:
    with path.open("wb") as file:
        file.truncate(1 << 40)
    return r"has 1,024\.00 GiB"


@pytest.mark.parametrize("use", USES)
def test_the_folders_are_sound(request, use):
    assert len(USES[use](request.getfixturevalue(use))) == 2


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("replace", [make_pipe, link_to_a_device, link_outside, make_vast])
@pytest.mark.parametrize("name", FILES)
def test_what_is_no_plain_file_of_the_folder(request, tmp_path, use, name, replace):
    folder = request.getfixturevalue(use)
    path = folder / name
    path.unlink(missing_ok=True)
    said = replace(path, tmp_path)
    with pytest.raises((errors.ModelConfigError, errors.UnsafePath), match=said) as raised:
        USES[use](folder)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("replace", [make_pipe, link_to_a_device, make_vast])
def test_weights_beside_the_graph_that_are_no_plain_file(folder, tmp_path, colours, replace):
    tensor = TensorProto(
        name="far", dims=[8, 3], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL
    )
    tensor.external_data.add(key="location", value="weights.data")
    model = colours.graph()
    model.graph.initializer.append(tensor)
    onnx.save(model, folder / "onnx" / "model.onnx")
    said = replace(folder / "onnx" / "weights.data", tmp_path)
    with pytest.raises(errors.ModelConfigError, match=rf"weights\.data {said}"):
        encode(folder)


@pytest.mark.parametrize("unit", [b"\0", b"\x08\x01", b"\x3a\x00"], ids=["zeros", "numbers", "empty graphs"])
def test_a_graph_of_nothing_but_fields_ends_soon(folder, unit, monkeypatch):
    monkeypatch.setattr(onnx_files, "_MOST_FIELDS", 100_000)
    path = folder / "onnx" / "model.onnx"
    if unit == b"\0":
        with path.open("wb") as file:
            file.truncate(1 << 30)
    else:
        path.write_bytes(unit * 200_000)
    with pytest.raises(InvalidModelError, match=r"model\.onnx: not an ONNX file"):
        onnx_files.external_names(path)


@pytest.mark.parametrize("use", USES)
def test_tokens_that_the_graph_has_no_row_for(request, use):
    """The graph of the reranker looks nothing up."""
    folder = request.getfixturevalue(use)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["car"] = 1_000_000
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    if use == "reranker":
        assert len(score(folder)) == 2
        return
    with pytest.raises(InvalidModelError, match=r"model\.onnx: .*token ids up to 1,000,000"):
        encode(folder)


@pytest.mark.parametrize(
    ("use", "changes"),
    [
        ("folder", {"normalizer": {"type": "Precompiled", "precompiled_charsmap": ""}}),
        ("folder", {"pre_tokenizer": {"type": "FixedLength", "length": 0}}),
        ("reranker", {"normalizer": {"type": "Precompiled", "precompiled_charsmap": ""}}),
        ("reranker", {"pre_tokenizer": {"type": "FixedLength", "length": 0}}),
        ("reranker", {"post_processor": AROUND_NOTHING}),
    ],
)
def test_panics_of_the_tokenizer(request, use, changes):
    folder = request.getfixturevalue(use)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps({**tokenizer, **changes}))
    with pytest.raises(InvalidModelError, match=r"tokenizer.* failed \(.+\); it is damaged"):
        USES[use](folder)
