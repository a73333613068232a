"""Wrong settings of transformers and pipelines are named, and those beyond the runtime ask for more."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto

from stlib.runtime import Encoder, InvalidModelError, MissingModelFileError, UnsupportedModelError
from stlib.runtime.folder import read_pipeline


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
def test_lengths_that_are_none(
    folder: Path, file: str, place: tuple[str, ...], value: object, colours: Any
) -> None:
    setting = value
    for key in reversed(place):
        setting = {key: setting}
    colours.write(folder / file, setting)
    said = f"{re.escape(file)}: {place[-1]}={re.escape(repr(value))}; allowed is a whole number of tokens"
    with pytest.raises(InvalidModelError, match=said):
        Encoder.load(folder)


@pytest.mark.parametrize("value", [10**30, 1e30, None])
def test_lengths_that_stand_for_no_limit(folder: Path, value: object, colours: Any) -> None:
    colours.write(folder / "tokenizer_config.json", {"model_max_length": value})
    assert Encoder.load(folder).max_seq_length == 12  # the model's positions
    colours.write(folder / "sentence_bert_config.json", {"processor_kwargs": {"model_max_length": value}})
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
def test_wrong_settings_are_named(folder: Path, file: str, value: object, message: str, colours: Any) -> None:
    colours.write(folder / file, value)
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
    folder: Path, settings: dict, message: str, colours: Any
) -> None:
    colours.write(folder / "sentence_bert_config.json", settings)
    with pytest.raises(UnsupportedModelError, match=message):
        Encoder.load(folder)


def test_an_input_that_is_no_text_asks_for_the_full_library(tmp_path: Path, colours: Any) -> None:
    model = colours.graph({"input_ids": TensorProto.INT64, "pixel_values": TensorProto.FLOAT})
    with pytest.raises(UnsupportedModelError, match="wants the input 'pixel_values'"):
        Encoder.load(colours.save_model(tmp_path / "m", model))


def test_a_dense_layer_must_fit_its_tensors(tmp_path: Path, colours: Any) -> None:
    relu = "torch.nn.modules.activation.ReLU"
    folder = colours.save_model(tmp_path / "m", kinds=("Transformer", "Pooling", "Dense"))
    colours.save_dense(folder, "2_Dense", {"activation_function": relu})
    assert Encoder.load(folder).encode(["red car"]).tolist() == [[3, 0]]
    for wrong in ({"out_features": 4}, {"bias": True}, {"use_residual": True}):
        config = {"in_features": 3, "out_features": 2, "bias": False, "activation_function": relu, **wrong}
        colours.write(folder / "2_Dense" / "config.json", config)
        with pytest.raises(InvalidModelError, match="2_Dense"):
            Encoder.load(folder)
    (folder / "2_Dense" / "model.safetensors").rename(folder / "2_Dense" / "pytorch_model.bin")
    with pytest.raises(UnsupportedModelError, match="writes safetensors"):
        Encoder.load(folder)


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
def test_a_router_must_be_whole(tmp_path: Path, structure: dict, parameters: dict, colours: Any) -> None:
    folder = colours.save_router(tmp_path / "m", {"dense": "stlib.models.Dense"}, structure, **parameters)
    with pytest.raises(InvalidModelError, match=r"router_config\.json"):
        read_pipeline(folder)


def test_a_pipeline_begins_with_a_module_that_takes_texts(tmp_path: Path, colours: Any) -> None:
    folder = colours.save_router(tmp_path / "m", {"dense": "stlib.models.Dense"}, {"query": ["dense"]})
    with pytest.raises(UnsupportedModelError, match="begins with a Router that takes no texts"):
        Encoder.load(folder)
    colours.write(folder / "modules.json", [{"type": "stlib.models.Normalize", "path": ""}])
    with pytest.raises(UnsupportedModelError, match="begins with a Normalize that takes no texts"):
        Encoder.load(folder)
