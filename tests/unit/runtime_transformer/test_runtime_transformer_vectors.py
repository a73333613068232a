"""Vectors of transformers in the torch-free Encoder, on graphs small enough to compute by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from stlib.runtime import Encoder, EncoderProtocol, InvalidModelError, UnsupportedModelError


def test_vector_is_the_mean_over_words_and_special_tokens(folder: Path) -> None:
    encoder = Encoder.load(folder)
    vectors = encoder.encode(["red car", "", "Green green", "fast"])
    expected = [[3, 2, 1], [0, 0, 0], [0, 2, 2], [1 / 3, 2 / 3, 1]]
    np.testing.assert_allclose(vectors, expected, rtol=1e-6)
    assert vectors.dtype == np.float32
    assert (encoder.name, encoder.dimension, encoder.is_static) == ("colours", 3, False)
    assert isinstance(encoder, EncoderProtocol)


def test_texts_are_cut_at_the_greatest_length(folder: Path, colours: Any) -> None:
    assert Encoder.load(folder).max_seq_length == 12
    np.testing.assert_allclose(Encoder.load(folder).encode(["red " * 50]), [[40 / 12, 80 / 12, 0]], rtol=1e-6)
    colours.write(folder / "sentence_bert_config.json", {"max_seq_length": 4})
    np.testing.assert_allclose(Encoder.load(folder).encode(["red car fast fast"]), [[3, 2, 1]], rtol=1e-6)
    colours.write(folder / "tokenizer_config.json", {"truncation_side": "left"})
    assert Encoder.load(folder).encode(["fast fast red car"]).tolist() == [[3, 2, 1]]


def test_query_and_document_may_have_lengths_of_their_own(folder: Path, colours: Any) -> None:
    colours.write(folder / "sentence_bert_config.json", {"query_length": 3, "document_length": 4})
    encoder = Encoder.load(folder)
    np.testing.assert_allclose(encoder.encode_query(["red car"]), [[4 / 3, 8 / 3, 0]], rtol=1e-6)
    assert encoder.encode_document(["red car fast"]).tolist() == [[3, 2, 1]]
    np.testing.assert_allclose(encoder.encode(["red car fast"]), [[13 / 5, 10 / 5, 7 / 5]], rtol=1e-6)


def test_settings_of_every_call_of_the_tokenizer(folder: Path, colours: Any) -> None:
    settings = {"processing_kwargs": {"text": {"max_length": 2}, "common": {"add_special_tokens": False}}}
    colours.write(folder / "sentence_bert_config.json", settings)
    assert Encoder.load(folder).encode(["red car fast"]).tolist() == [[6, 4, 2]]
    colours.write(
        folder / "sentence_bert_config.json", {"processing_kwargs": {"text": {"no_such_option": 1}}}
    )
    with pytest.raises(InvalidModelError, match="processing_kwargs holds no_such_option; known are"):
        Encoder.load(folder)


def test_left_padding_and_last_token(folder: Path, colours: Any) -> None:
    colours.write(folder / "tokenizer_config.json", {"padding_side": "left", "pad_token": "[PAD]"})
    colours.write(
        folder / "1_Pooling" / "config.json", {"embedding_dimension": 3, "pooling_mode": "weightedmean"}
    )
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
def test_inputs_that_a_graph_may_ask_for(tmp_path: Path, name: str, kind: int, colours: Any) -> None:
    """The input is added to the ids: types are 0 and change nothing, positions move every word."""
    nodes = [
        helper.make_node("Cast", [name], ["extra"], to=TensorProto.INT64),
        helper.make_node("Add", ["input_ids", "extra"], ["moved"]),
        helper.make_node("Gather", ["rows", "moved"], ["last_hidden_state"]),
    ]
    model = colours.graph(
        {"input_ids": TensorProto.INT64, name: kind},
        nodes=nodes,
        rows=np.concatenate([colours.rows, colours.rows]),
    )
    encoder = Encoder.load(colours.save_model(tmp_path / "m", model))
    moved = (
        [[0, 0, 0], colours.rows[5], colours.rows[3 + 2]]
        if name == "position_ids"
        else [[0, 0, 0], colours.rows[4], [0, 0, 0]]
    )
    np.testing.assert_allclose(encoder.encode(["red"]), [np.mean(moved, axis=0)], rtol=1e-6)


def test_half_precision_and_unknown_width(tmp_path: Path, colours: Any) -> None:
    shape = ("texts", "tokens", "width")
    model = colours.graph(rows=colours.rows.astype(np.float16), kind=TensorProto.FLOAT16, shape=shape)
    vectors = Encoder.load(colours.save_model(tmp_path / "m", model)).encode(["red car"])
    assert (vectors.dtype, vectors.tolist()) == (np.float32, [[3, 2, 1]])


def test_a_graph_that_pools_by_itself(tmp_path: Path, colours: Any) -> None:
    nodes = [
        helper.make_node("Gather", ["rows", "input_ids"], ["tokens"]),
        helper.make_node("ReduceMax", ["tokens"], ["sentence_embedding"], axes=[1], keepdims=0),
    ]
    model = colours.graph(output="sentence_embedding", nodes=nodes, shape=("texts", 3))
    bare = colours.save_model(tmp_path / "bare", model)
    (bare / "modules.json").unlink()
    assert Encoder.load(bare).encode(["red car"]).tolist() == [[8, 8, 4]]
    piped = colours.save_model(tmp_path / "piped", model)
    with pytest.raises(UnsupportedModelError, match=r"gives one vector per text.*Pooling"):
        Encoder.load(piped)


def test_a_folder_with_only_the_model_and_its_tokenizer(tmp_path: Path, colours: Any) -> None:
    folder = colours.save_model(tmp_path / "bare", file="model.onnx")
    for name in ("modules.json", "config_sentence_transformers.json", "1_Pooling/config.json"):
        (folder / name).unlink()
    (folder / "1_Pooling").rmdir()
    assert Encoder.load(folder).encode(["red car"]).tolist() == [[3, 2, 1]]
    (folder / "1_Pooling").mkdir()
    flags = {"word_embedding_dimension": 3, "pooling_mode_max_tokens": True}
    colours.write(folder / "1_Pooling" / "config.json", flags)
    assert Encoder.load(folder).encode(["red car"]).tolist() == [[8, 8, 4]]


def test_a_width_that_settings_do_not_tell_rightly_is_no_silent_cut(folder: Path, colours: Any) -> None:
    colours.write(folder / "1_Pooling" / "config.json", {"embedding_dimension": 2, "pooling_mode": "mean"})
    encoder = Encoder.load(folder)
    with pytest.raises(InvalidModelError, match="give vectors of 3 dimensions, but its settings say 2"):
        encoder.encode(["red"])


def test_a_text_beyond_the_positions_of_a_graph_names_the_remedy(tmp_path: Path, colours: Any) -> None:
    nodes = [helper.make_node("Gather", ["rows", "position_ids"], ["last_hidden_state"])]
    model = colours.graph({"input_ids": TensorProto.INT64, "position_ids": TensorProto.INT64}, nodes=nodes)
    encoder = Encoder.load(colours.save_model(tmp_path / "m", model))
    assert encoder.encode(["red " * 6]).shape == (1, 3)
    with pytest.raises(InvalidModelError, match=r"model\.onnx: .* cannot run .* max_seq_length"):
        encoder.encode(["red " * 7])
