"""Transformers in the torch-free Encoder, on graphs small enough to compute by hand; and what it refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from stlib.runtime import (
    Encoder,
    EncoderProtocol,
    InvalidModelError,
    MissingModelFileError,
    ModelError,
    UnsupportedModelError,
)
from stlib.runtime.folder import read_pipeline
from stlib.runtime.modules.onnx_files import external_files
from stlib.runtime.modules.onnx_outline import outline

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "green", "car", "fast"]
# The row of [CLS] and [SEP] is 0, so sums are those of the words; [PAD] would show at once.
ROWS = np.array(
    [[9, 9, 9], [1, 1, 1], [0, 0, 0], [0, 0, 0], [4, 8, 0], [0, 4, 4], [8, 0, 4], [1, 2, 3]], np.float32
)

Graph = Callable[..., onnx.ModelProto]


def graph(
    inputs: dict[str, int] | None = None,
    output: str = "last_hidden_state",
    rows: np.ndarray = ROWS,
    nodes: list[onnx.NodeProto] | None = None,
    shape: tuple[Any, ...] = ("texts", "tokens", 3),
    kind: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A model that looks its token embeddings up in a table."""
    given = inputs or {"input_ids": TensorProto.INT64, "attention_mask": TensorProto.INT64}
    look_up = [helper.make_node("Gather", ["rows", "input_ids"], [output])]
    made = helper.make_graph(
        nodes or look_up,
        "look-up",
        [helper.make_tensor_value_info(name, type_, ("texts", "tokens")) for name, type_ in given.items()],
        [helper.make_tensor_value_info(output, kind, shape)],
        [numpy_helper.from_array(rows, "rows")],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def save_tokenizer(folder: Path) -> None:
    tokenizer = Tokenizer(WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))


def save_model(
    folder: Path,
    model: onnx.ModelProto | None = None,
    *,
    file: str = "onnx/model.onnx",
    kinds: tuple[str, ...] = ("Transformer", "Pooling"),
    config: dict[str, Any] | None = None,
) -> Path:
    """A pipeline whose vectors can be worked out by hand."""
    (folder / file).parent.mkdir(parents=True)
    onnx.save(model or graph(), folder / file)
    save_tokenizer(folder)
    write(folder / "config.json", {"hidden_size": 3, "max_position_embeddings": 12, "pad_token_id": 0})
    (folder / "1_Pooling").mkdir()
    write(folder / "1_Pooling" / "config.json", {"embedding_dimension": 3, "pooling_mode": "mean"})
    write(folder / "config_sentence_transformers.json", config or {})
    modules = [
        {
            "idx": i,
            "name": str(i),
            "path": f"{i}_{kind}" if i else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for i, kind in enumerate(kinds)
    ]
    write(folder / "modules.json", modules)
    return folder


def write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_model(tmp_path / "colours")


# -- vectors ------------------------------------------------------------------------------------------------


def test_vector_is_the_mean_over_words_and_special_tokens(folder: Path) -> None:
    encoder = Encoder.load(folder)
    vectors = encoder.encode(["red car", "", "Green green", "fast"])
    expected = [[3, 2, 1], [0, 0, 0], [0, 2, 2], [1 / 3, 2 / 3, 1]]
    np.testing.assert_allclose(vectors, expected, rtol=1e-6)
    assert vectors.dtype == np.float32
    assert (encoder.name, encoder.dimension, encoder.is_static) == ("colours", 3, False)
    assert isinstance(encoder, EncoderProtocol)


def test_texts_are_cut_at_the_greatest_length(folder: Path) -> None:
    assert Encoder.load(folder).max_seq_length == 12
    np.testing.assert_allclose(Encoder.load(folder).encode(["red " * 50]), [[40 / 12, 80 / 12, 0]], rtol=1e-6)
    write(folder / "sentence_bert_config.json", {"max_seq_length": 4})
    np.testing.assert_allclose(Encoder.load(folder).encode(["red car fast fast"]), [[3, 2, 1]], rtol=1e-6)
    write(folder / "tokenizer_config.json", {"truncation_side": "left"})
    assert Encoder.load(folder).encode(["fast fast red car"]).tolist() == [[3, 2, 1]]


def test_query_and_document_may_have_lengths_of_their_own(folder: Path) -> None:
    write(folder / "sentence_bert_config.json", {"query_length": 3, "document_length": 4})
    encoder = Encoder.load(folder)
    np.testing.assert_allclose(encoder.encode_query(["red car"]), [[4 / 3, 8 / 3, 0]], rtol=1e-6)
    assert encoder.encode_document(["red car fast"]).tolist() == [[3, 2, 1]]
    np.testing.assert_allclose(encoder.encode(["red car fast"]), [[13 / 5, 10 / 5, 7 / 5]], rtol=1e-6)


def test_settings_of_every_call_of_the_tokenizer(folder: Path) -> None:
    settings = {"processing_kwargs": {"text": {"max_length": 2}, "common": {"add_special_tokens": False}}}
    write(folder / "sentence_bert_config.json", settings)
    assert Encoder.load(folder).encode(["red car fast"]).tolist() == [[6, 4, 2]]
    write(folder / "sentence_bert_config.json", {"processing_kwargs": {"text": {"no_such_option": 1}}})
    with pytest.raises(InvalidModelError, match="processing_kwargs holds no_such_option; known are"):
        Encoder.load(folder)


def test_left_padding_and_last_token(folder: Path) -> None:
    write(folder / "tokenizer_config.json", {"padding_side": "left", "pad_token": "[PAD]"})
    write(folder / "1_Pooling" / "config.json", {"embedding_dimension": 3, "pooling_mode": "weightedmean"})
    expected = [[(2 * 4 + 3 * 8) / 10, 2 * 8 / 10, 3 * 4 / 10], [0, 8 / 6, 8 / 6]]
    np.testing.assert_allclose(Encoder.load(folder).encode(["red car", "green"]), expected, rtol=1e-6)


def test_a_batch_is_cut_by_its_tokens(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder.load(folder)
    texts = ["red car " * (i % 6) for i in range(50)]
    expected = encoder.encode(texts)
    monkeypatch.setattr("stlib.runtime.modules.text_tokens.MAX_TOKENS", 40)
    monkeypatch.setattr("stlib.runtime.modules.text_tokens.MIN_TOKENS", 20)
    batches = list(encoder._pipeline.first.batches(texts, "", None))
    assert sorted(i for rows, _ in batches for i in rows) == list(range(50))
    masks = [features["attention_mask"] for _, features in batches]
    assert all(mask.size <= 40 for mask in masks)
    assert all(mask.all() for mask in masks if mask[:-1].size >= 20 and mask.shape[1] > 2)
    np.testing.assert_array_equal(encoder.encode(texts), expected)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("token_type_ids", TensorProto.INT64),
        ("token_type_ids", TensorProto.INT32),
        ("position_ids", TensorProto.INT64),
    ],
)
def test_inputs_that_a_graph_may_ask_for(tmp_path: Path, name: str, kind: int) -> None:
    """The input is added to the ids: types are 0 and change nothing, positions move every word."""
    nodes = [
        helper.make_node("Cast", [name], ["extra"], to=TensorProto.INT64),
        helper.make_node("Add", ["input_ids", "extra"], ["moved"]),
        helper.make_node("Gather", ["rows", "moved"], ["last_hidden_state"]),
    ]
    model = graph(
        {"input_ids": TensorProto.INT64, name: kind}, nodes=nodes, rows=np.concatenate([ROWS, ROWS])
    )
    encoder = Encoder.load(save_model(tmp_path / "m", model))
    moved = [[0, 0, 0], ROWS[5], ROWS[3 + 2]] if name == "position_ids" else [[0, 0, 0], ROWS[4], [0, 0, 0]]
    np.testing.assert_allclose(encoder.encode(["red"]), [np.mean(moved, axis=0)], rtol=1e-6)


def test_half_precision_and_unknown_width(tmp_path: Path) -> None:
    shape = ("texts", "tokens", "width")
    model = graph(rows=ROWS.astype(np.float16), kind=TensorProto.FLOAT16, shape=shape)
    vectors = Encoder.load(save_model(tmp_path / "m", model)).encode(["red car"])
    assert (vectors.dtype, vectors.tolist()) == (np.float32, [[3, 2, 1]])


def test_a_graph_that_pools_by_itself(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["rows", "input_ids"], ["tokens"]),
        helper.make_node("ReduceMax", ["tokens"], ["sentence_embedding"], axes=[1], keepdims=0),
    ]
    model = graph(output="sentence_embedding", nodes=nodes, shape=("texts", 3))
    bare = save_model(tmp_path / "bare", model)
    (bare / "modules.json").unlink()
    assert Encoder.load(bare).encode(["red car"]).tolist() == [[8, 8, 4]]
    piped = save_model(tmp_path / "piped", model)
    with pytest.raises(UnsupportedModelError, match=r"gives one vector per text.*Pooling"):
        Encoder.load(piped)


def test_a_folder_with_only_the_model_and_its_tokenizer(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "bare", file="model.onnx")
    for name in ("modules.json", "config_sentence_transformers.json", "1_Pooling/config.json"):
        (folder / name).unlink()
    (folder / "1_Pooling").rmdir()
    assert Encoder.load(folder).encode(["red car"]).tolist() == [[3, 2, 1]]
    (folder / "1_Pooling").mkdir()
    flags = {"word_embedding_dimension": 3, "pooling_mode_max_tokens": True}
    write(folder / "1_Pooling" / "config.json", flags)
    assert Encoder.load(folder).encode(["red car"]).tolist() == [[8, 8, 4]]


def test_a_width_that_settings_do_not_tell_rightly_is_no_silent_cut(folder: Path) -> None:
    write(folder / "1_Pooling" / "config.json", {"embedding_dimension": 2, "pooling_mode": "mean"})
    encoder = Encoder.load(folder)
    with pytest.raises(InvalidModelError, match="give vectors of 3 dimensions, but its settings say 2"):
        encoder.encode(["red"])


def test_a_text_beyond_the_positions_of_a_graph_names_the_remedy(tmp_path: Path) -> None:
    nodes = [helper.make_node("Gather", ["rows", "position_ids"], ["last_hidden_state"])]
    model = graph({"input_ids": TensorProto.INT64, "position_ids": TensorProto.INT64}, nodes=nodes)
    encoder = Encoder.load(save_model(tmp_path / "m", model))
    assert encoder.encode(["red " * 6]).shape == (1, 3)
    with pytest.raises(InvalidModelError, match=r"model\.onnx: .* cannot run .* max_seq_length"):
        encoder.encode(["red " * 7])


# -- which file ---------------------------------------------------------------------------------------------


def test_the_file_is_chosen_by_name(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "m")
    onnx.save(graph(rows=ROWS * 2), folder / "onnx" / "model_int8.onnx")
    onnx.save(graph(rows=ROWS * 3), folder / "model_O2.onnx")
    usual, double, triple = [[3, 2, 1]], [[6, 4, 2]], [[9, 6, 3]]
    assert Encoder.load(folder).encode(["red car"]).tolist() == usual
    for name in ("model_int8.onnx", "onnx/model_int8.onnx"):
        encoder = Encoder.load(folder, file_name=name)
        assert encoder.encode(["red car"]).tolist() == double
        assert encoder.source == str(folder / "onnx" / "model_int8.onnx")
    assert Encoder.load(encoder.source).encode(["red car"]).tolist() == double
    assert Encoder.load(folder / "model_O2.onnx").encode(["red car"]).tolist() == triple
    assert Encoder.load(folder).source == str(folder)
    with pytest.raises(
        MissingModelFileError, match=r"holds no model_O4.onnx.*model_O2.onnx, onnx/model.onnx"
    ):
        Encoder.load(folder, file_name="model_O4.onnx")
    (folder / "onnx" / "model.onnx").unlink()
    with pytest.raises(MissingModelFileError, match=r"file_name=: model_O2.onnx, onnx/model_int8.onnx"):
        Encoder.load(folder)
    (folder / "model_O2.onnx").unlink()
    assert Encoder.load(folder).encode(["red car"]).tolist() == double


@pytest.mark.parametrize("name", ["../other/model.onnx", "/etc/model.onnx", "..\\model.onnx"])
def test_a_file_name_may_not_leave_the_folder(folder: Path, name: str) -> None:
    with pytest.raises(InvalidModelError, match="lies outside the model's folder"):
        Encoder.load(folder, file_name=name)


def test_without_an_onnx_file_the_full_library_is_needed(folder: Path) -> None:
    (folder / "onnx" / "model.onnx").unlink()
    with pytest.raises(
        UnsupportedModelError, match=r"Transformer \+ Pooling needs stlib.SentenceTransformer"
    ):
        Encoder.load(folder)


# -- fingerprints -------------------------------------------------------------------------------------------


def test_fingerprint_depends_on_all_that_decides_vectors_and_on_nothing_else(tmp_path: Path) -> None:
    def changed(name: str, path: str, value: object) -> str:
        folder = save_model(tmp_path / name)
        write(folder / path, value)
        return Encoder.load(folder).fingerprint

    first = Encoder.load(save_model(tmp_path / "a")).fingerprint
    assert Encoder.load(save_model(tmp_path / "elsewhere" / "b", file="model.onnx")).fingerprint == first
    assert changed("same", "README.md", "nothing") == first
    others = {
        Encoder.load(save_model(tmp_path / "weights", graph(rows=ROWS + 1))).fingerprint,
        changed("length", "sentence_bert_config.json", {"max_seq_length": 5}),
        changed("lower", "sentence_bert_config.json", {"do_lower_case": True}),
        changed("case", "tokenizer_config.json", {"do_lower_case": False}),
        changed("side", "tokenizer_config.json", {"padding_side": "left"}),
        changed("pool", "1_Pooling/config.json", {"embedding_dimension": 3, "pooling_mode": "max"}),
        changed("prompt", "config_sentence_transformers.json", {"prompts": {"query": "q "}}),
        changed("width", "config_sentence_transformers.json", {"truncate_dim": 2}),
    }
    assert len(others | {first}) == 9


def test_fingerprint_covers_weights_outside_the_file(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "m", file="model.onnx")
    onnx.save(
        graph(),
        folder / "model.onnx",
        save_as_external_data=True,
        location="model.onnx_data",
        size_threshold=0,
    )
    first = Encoder.load(folder)
    assert first.encode(["red car"]).tolist() == [[3, 2, 1]]
    before = first.fingerprint
    data = bytearray((folder / "model.onnx_data").read_bytes())
    data[-1] ^= 1
    (folder / "model.onnx_data").write_bytes(data)
    assert Encoder.load(folder).fingerprint != before
    (folder / "model.onnx_data").unlink()
    with pytest.raises(MissingModelFileError, match=r"model\.onnx_data"):
        Encoder.load(folder)


def test_a_file_that_changes_under_a_loaded_model_has_no_fingerprint(folder: Path) -> None:
    encoder = Encoder.load(folder)
    onnx.save(graph(rows=np.concatenate([ROWS, ROWS])), folder / "onnx" / "model.onnx")
    with pytest.raises(InvalidModelError, match="has changed since it was loaded"):
        _ = encoder.fingerprint


LARGE = np.concatenate([ROWS, np.arange(30000, dtype=np.float32).reshape(-1, 3)])


def test_large_weights_stay_in_the_file(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "m", graph(rows=LARGE))
    path = folder / "onnx" / "model.onnx"
    sketch = outline(path)
    assert len(sketch) < 1000 < LARGE.nbytes < path.stat().st_size
    (tensor,) = onnx.load_from_string(sketch).graph.initializer
    place = {entry.key: entry.value for entry in tensor.external_data}
    content = path.read_bytes()[int(place["offset"]) :][: int(place["length"])]
    assert (place["location"], tensor.name, list(tensor.dims)) == ("model.onnx", "rows", list(LARGE.shape))
    np.testing.assert_array_equal(np.frombuffer(content, np.float32).reshape(LARGE.shape), LARGE)
    assert Encoder.load(folder).encode(["red car"]).tolist() == [[3, 2, 1]]


def test_large_weights_are_found_through_links_and_beside_other_files(tmp_path: Path) -> None:
    """As a download cache has them: the folder holds links to files of other names."""
    blob = tmp_path / "blobs" / "0a1b2c"
    blob.parent.mkdir()
    onnx.save(graph(rows=LARGE), blob)
    folder = save_model(tmp_path / "m")
    (folder / "onnx" / "model.onnx").unlink()
    (folder / "onnx" / "model.onnx").symlink_to(blob)
    assert Encoder.load(folder).encode(["red car"]).tolist() == [[3, 2, 1]]


def test_a_mapped_file_that_is_cut_is_an_error_and_no_crash(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "m", graph(rows=LARGE))
    encoder = Encoder.load(folder)
    encoder.encode(["red car"])
    (folder / "onnx" / "model.onnx").write_bytes(b"")
    with pytest.raises(InvalidModelError, match="has changed since it was loaded"):
        encoder.encode(["red car"])


def test_a_file_that_is_replaced_changes_nothing_for_a_loaded_model(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "m", graph(rows=LARGE))
    first, encoder = Encoder.load(folder).fingerprint, Encoder.load(folder)
    onnx.save(graph(rows=LARGE * 2), folder / "new.onnx")
    (folder / "new.onnx").replace(folder / "onnx" / "model.onnx")
    assert encoder.encode(["red car"]).tolist() == [[3, 2, 1]]
    many = encoder.encode(["red car"] * 500)  # several batches, which run in a session of their own
    np.testing.assert_array_equal(many, [[3, 2, 1]] * 500)
    assert encoder.fingerprint == first != Encoder.load(folder).fingerprint


# -- damaged and hostile folders ----------------------------------------------------------------------------


def external(location: str, inside_of: str = "graph") -> onnx.ModelProto:
    """A model that names a place of weights, at its top or inside a branch of an ``If``."""
    tensor = TensorProto(
        name="far", dims=[8, 3], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL
    )
    tensor.external_data.add(key="location", value=location)
    model = graph()
    if inside_of == "graph":
        model.graph.initializer.append(tensor)
        return model
    branch = helper.make_graph(
        [helper.make_node("Identity", ["far"], ["out"])],
        "branch",
        [],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, (8, 3))],
        [tensor],
    )
    condition = numpy_helper.from_array(np.array(True), "yes")
    model.graph.initializer.append(condition)
    node = helper.make_node("If", ["yes"], ["chosen"], then_branch=branch, else_branch=branch)
    model.graph.node.append(node)
    return model


@pytest.mark.parametrize("inside_of", ["graph", "branch"])
@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "weights/../../secret", "C:\\secret"])
def test_weights_outside_the_folder_are_refused(tmp_path: Path, location: str, inside_of: str) -> None:
    (tmp_path / "secret.bin").write_bytes(b"\0" * 96)
    folder = save_model(tmp_path / "m", external(location, inside_of), file="model.onnx")
    with pytest.raises(InvalidModelError, match=r"model.onnx: the path .* lies outside the model's folder"):
        Encoder.load(folder)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 200, None])
def test_a_damaged_onnx_file_is_named(folder: Path, content: bytes | None) -> None:
    path = folder / "onnx" / "model.onnx"
    path.write_bytes(path.read_bytes()[:-20] if content is None else content)
    with pytest.raises(InvalidModelError, match=r"onnx/model\.onnx.*export the model again"):
        Encoder.load(folder)


def test_an_onnx_file_with_flipped_bits_is_read_or_refused(folder: Path) -> None:
    path = folder / "onnx" / "model.onnx"
    whole = path.read_bytes()
    dice = np.random.default_rng(9)
    refused = 0
    for _ in range(300):
        content = bytearray(whole[: dice.integers(1, len(whole) + 1)])
        for place in dice.integers(0, len(content), 3):
            content[place] ^= 1 << dice.integers(0, 8)
        path.write_bytes(content)
        try:
            external_files(path)
        except ModelError:
            refused += 1
    assert 0 < refused < 300


@pytest.mark.parametrize("name", ["tokenizer.json", "1_Pooling/config.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(MissingModelFileError, match=name):
        Encoder.load(folder)


@pytest.mark.parametrize("value", [0, -5, True, "x", 2.5, [64]])
@pytest.mark.parametrize(
    ("file", "place"),
    [
        ("sentence_bert_config.json", ("max_seq_length",)),
        ("sentence_bert_config.json", ("query_length",)),
        ("sentence_bert_config.json", ("document_length",)),
        ("sentence_bert_config.json", ("tokenizer_args", "model_max_length")),
        ("sentence_bert_config.json", ("processing_kwargs", "text", "max_length")),
        ("tokenizer_config.json", ("model_max_length",)),
    ],
)
def test_lengths_that_are_none(folder: Path, file: str, place: tuple[str, ...], value: object) -> None:
    setting = value
    for key in reversed(place):
        setting = {key: setting}
    write(folder / file, setting)
    said = f"{re.escape(file)}: {place[-1]}={re.escape(repr(value))}; allowed is a whole number of tokens"
    with pytest.raises(InvalidModelError, match=said):
        Encoder.load(folder)


@pytest.mark.parametrize("value", [10**30, 1e30, None])
def test_lengths_that_stand_for_no_limit(folder: Path, value: object) -> None:
    write(folder / "tokenizer_config.json", {"model_max_length": value})
    assert Encoder.load(folder).max_seq_length == 12  # the model's positions
    write(folder / "sentence_bert_config.json", {"processor_kwargs": {"model_max_length": value}})
    assert Encoder.load(folder).max_seq_length is None


@pytest.mark.parametrize(
    ("file", "value", "message"),
    [
        ("sentence_bert_config.json", [1], "sentence_bert_config.json: expected a JSON object"),
        ("sentence_bert_config.json", {"max_seq_length": "many"}, "max_seq_length='many'; allowed is"),
        ("sentence_bert_config.json", {"processor_kwargs": 3}, "processor_kwargs is no object"),
        ("tokenizer_config.json", {"padding_side": "top"}, "padding_side is 'top'; allowed are: left, right"),
        (
            "1_Pooling/config.json",
            {"embedding_dimension": 3, "pooling_mode": "median"},
            "'median' is unknown",
        ),
        ("1_Pooling/config.json", {"pooling_mode": "mean"}, "embedding_dimension is None"),
        ("config_sentence_transformers.json", {"truncate_dim": -1}, "truncate_dim is -1"),
        ("modules.json", [], "the list of modules is empty"),
        ("modules.json", [{"type": "stlib.Pooling", "path": 3}], "found 3"),
    ],
)
def test_wrong_settings_are_named(folder: Path, file: str, value: object, message: str) -> None:
    write(folder / file, value)
    with pytest.raises(InvalidModelError, match=message):
        Encoder.load(folder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"transformer_task": "fill-mask"}, "transformer_task='fill-mask' needs stlib.SentenceTransformer"),
        ({"modality_config": {"image": {"method": "get_image_features"}}}, "modality_config="),
        ({"query_expansion": {"length": 3}}, "query_expansion="),
    ],
)
def test_settings_beyond_the_runtime_ask_for_the_full_library(
    folder: Path, settings: dict, message: str
) -> None:
    write(folder / "sentence_bert_config.json", settings)
    with pytest.raises(UnsupportedModelError, match=message):
        Encoder.load(folder)


def test_an_input_that_is_no_text_asks_for_the_full_library(tmp_path: Path) -> None:
    model = graph({"input_ids": TensorProto.INT64, "pixel_values": TensorProto.FLOAT})
    with pytest.raises(UnsupportedModelError, match="wants the input 'pixel_values'"):
        Encoder.load(save_model(tmp_path / "m", model))


@pytest.mark.parametrize(
    "type_", ["os.system", "my_package.models.Pooling", "owner/repo--file.Pooling", "Pooling"]
)
def test_a_class_of_another_package_is_never_taken_for_ours(folder: Path, type_: str) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["type"] = type_
    write(folder / "modules.json", modules)
    with pytest.raises(UnsupportedModelError, match=r"needs stlib.SentenceTransformer"):
        Encoder.load(folder)


def save_dense(folder: Path, name: str, config: dict[str, Any]) -> None:
    (folder / name).mkdir()
    write(folder / name / "config.json", {"in_features": 3, "out_features": 2, "bias": False, **config})
    save_file(
        {"linear.weight": np.array([[1, 0, 0], [0, -1, 1]], np.float32)}, folder / name / "model.safetensors"
    )


KINDS = ("Transformer", "Pooling", "Dense")


@pytest.mark.parametrize("name", ["os.system", "torch.load", "torch.nn.Linear", "builtins.eval", "Tanh"])
def test_an_activation_outside_the_list_is_refused(tmp_path: Path, name: str) -> None:
    folder = save_model(tmp_path / "m", kinds=KINDS)
    save_dense(folder, "2_Dense", {"activation_function": name})
    with pytest.raises(UnsupportedModelError, match=f"activation function '{name}' is not one of torch's"):
        Encoder.load(folder)


def test_a_dense_layer_must_fit_its_tensors(tmp_path: Path) -> None:
    relu = "torch.nn.modules.activation.ReLU"
    folder = save_model(tmp_path / "m", kinds=KINDS)
    save_dense(folder, "2_Dense", {"activation_function": relu})
    assert Encoder.load(folder).encode(["red car"]).tolist() == [[3, 0]]
    for wrong in ({"out_features": 4}, {"bias": True}, {"use_residual": True}):
        config = {"in_features": 3, "out_features": 2, "bias": False, "activation_function": relu, **wrong}
        write(folder / "2_Dense" / "config.json", config)
        with pytest.raises(InvalidModelError, match="2_Dense"):
            Encoder.load(folder)
    (folder / "2_Dense" / "model.safetensors").rename(folder / "2_Dense" / "pytorch_model.bin")
    with pytest.raises(UnsupportedModelError, match="writes safetensors"):
        Encoder.load(folder)


def save_router(
    folder: Path, types: dict[str, str], structure: dict[str, list[str]], **parameters: Any
) -> Path:
    save_model(folder, kinds=("Router",))
    save_dense(folder, "dense", {"activation_function": None})
    write(folder / "router_config.json", {"types": types, "structure": structure, "parameters": parameters})
    return folder


POOLING, TRANSFORMER = "stlib.models.Pooling", "stlib.models.Transformer"


@pytest.mark.parametrize("name", ["..", "../elsewhere", "", ".", "/etc"])
def test_a_route_may_not_leave_its_folder_nor_hold_itself(tmp_path: Path, name: str) -> None:
    folder = save_router(tmp_path / "m", {name: "stlib.models.Router"}, {"query": [name]})
    with pytest.raises(InvalidModelError, match=r"lies outside|needs a folder of its own"):
        read_pipeline(folder)


@pytest.mark.parametrize(
    ("structure", "parameters"),
    [
        ({}, {}),
        ({"query": []}, {}),
        ({"query": ["gone"]}, {}),
        ({"query": ["dense"]}, {"default_route": "title"}),
        ({"query": ["dense"]}, {"route_mappings": {"('query', None)": "title"}}),
        ({"query": ["dense"]}, {"route_mappings": {"__import__('os')": "query"}}),
        ({"query": ["dense"]}, {"route_mappings": {"(" * 5000: "query"}}),
        ({"query": ["dense"]}, {"route_mappings": {"('query', None)": None}}),
    ],
    ids=str,
)
def test_a_router_must_be_whole(tmp_path: Path, structure: dict, parameters: dict) -> None:
    folder = save_router(tmp_path / "m", {"dense": "stlib.models.Dense"}, structure, **parameters)
    with pytest.raises(InvalidModelError, match=r"router_config\.json"):
        read_pipeline(folder)


def test_a_pipeline_begins_with_a_module_that_takes_texts(tmp_path: Path) -> None:
    folder = save_router(tmp_path / "m", {"dense": "stlib.models.Dense"}, {"query": ["dense"]})
    with pytest.raises(UnsupportedModelError, match="begins with a Router that takes no texts"):
        Encoder.load(folder)
    write(folder / "modules.json", [{"type": "stlib.models.Normalize", "path": ""}])
    with pytest.raises(UnsupportedModelError, match="begins with a Normalize that takes no texts"):
        Encoder.load(folder)


# -- dependencies -------------------------------------------------------------------------------------------


def test_onnx_runtime_is_imported_only_for_onnx_files_and_named_when_missing(folder: Path) -> None:
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from stlib.runtime import Encoder, MissingDependencyError\n"
        "Encoder.load()\n"
        "try: Encoder.load(sys.argv[1])\n"
        "except MissingDependencyError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    assert (
        "onnx/model.onnx runs on ONNX Runtime, which is not installed: pip install onnxruntime" in done.stdout
    )


AT_THE_END = """
import atexit, sys, threading, time
from stlib.runtime import Encoder
from stlib.runtime import encoder as module

module.available_cores = lambda: 3  # several batches at a time, whatever the machine
encoder = Encoder.load(sys.argv[1])
texts = ["red car fast " * 3, "green " * 9] * 200

def encode(moment):
    print(moment, encoder.encode(texts).sum(axis=0).round().tolist(), flush=True)

def outlive():
    threading.main_thread().join()
    time.sleep(0.3)
    encode("after the main thread")

atexit.register(encode, "at exit")
threading.Thread(target=outlive).start()
"""


def test_many_texts_are_encoded_while_the_program_ends(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_END, str(folder)], capture_output=True, text=True, timeout=60
    )
    # Sums of three times red + car + fast and of nine times green, over 9 + 2 tokens, 200 times each
    sums = [float(round(200 * total / 11)) for total in (39, 30 + 36, 21 + 36)]
    expected = [f"after the main thread {sums}", f"at exit {sums}"]
    assert (done.stdout.splitlines(), done.returncode) == (expected, 0), done.stderr
