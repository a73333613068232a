"""Pairs of texts without torch: the inputs of a graph are those that CrossEncoder makes of the folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stlib import CrossEncoder
from stlib.runtime import Reranker

pytestmark = pytest.mark.parity

QUERY = "how do i sort a list"
PASSAGES = [
    "Sort a LIST in short",
    "",
    "the quick brown fox jumps over the lazy dog " * 12,
    "meaning of word",
]
PAIRS = [(QUERY, passage) for passage in PASSAGES]


@pytest.fixture(scope="module")
def exported(tiny_reranker, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("onnx") / "reranker"
    CrossEncoder(tiny_reranker, backend="onnx", device="cpu").save(str(folder))
    return folder


@pytest.fixture
def folder(exported, tmp_path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "model"))


def edit(path: Path, **changes: Any) -> None:
    """Set values in a JSON file; None takes one out."""
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))


def by_cross_encoder(folder: Path, pairs: list[tuple[str, str]] = PAIRS) -> np.ndarray:
    model = CrossEncoder(str(folder), backend="onnx", device="cpu")
    return np.asarray(model.predict(pairs, activation_fn=torch.nn.Identity()))


def segments_count(folder: Path) -> bool:
    """Whether the two texts of a pair are told apart, checked to be so on both sides."""
    scores, expected = Reranker.load(folder).scores(QUERY, PASSAGES), by_cross_encoder(folder)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    edit(
        folder / "tokenizer_config.json", model_input_names=["input_ids", "token_type_ids", "attention_mask"]
    )
    told_apart = Reranker.load(folder).scores(QUERY, PASSAGES)
    edit(folder / "tokenizer_config.json", model_input_names=["input_ids", "attention_mask"])
    alike = Reranker.load(folder).scores(QUERY, PASSAGES)
    assert abs(told_apart - alike).min() > 1e-3
    return bool(abs(scores - told_apart).max() < abs(scores - alike).max())


@pytest.mark.parametrize(
    ("class_", "model_type", "told_apart"),
    [
        ("BertTokenizer", "bert", True),
        ("BertTokenizerFast", "bert", True),
        (None, "bert", True),
        ("TokenizersBackend", "bert", False),
        ("PreTrainedTokenizerFast", "bert", False),
        ("DebertaV2Tokenizer", "bert", False),
        ("ElectraTokenizer", "electra", False),
        ("BertTokenizer", "electra", True),
        ("BertTokenizerFast", "albert", False),
        ("MobileBertTokenizer", "mobilebert", True),
        ("ElectraTokenizer", "modernbert", True),
        ("BertTokenizer", "distilbert", True),
    ],
)
def test_the_tokenizer_tells_whether_texts_of_a_pair_are_told_apart(folder, class_, model_type, told_apart):
    """As transformers 5 decides it; the graph stays that of a BERT."""
    edit(folder / "tokenizer_config.json", tokenizer_class=class_, model_input_names=None)
    edit(folder / "config.json", model_type=model_type, max_position_embeddings=64)
    assert segments_count(folder) == told_apart


@pytest.mark.parametrize("class_", ["BertTokenizer", "TokenizersBackend"])
@pytest.mark.parametrize(
    "setting",
    [
        {"do_lower_case": False},
        {"strip_accents": False},
        {"split_special_tokens": True},
        {"padding_side": "left"},
        {"model_max_length": 4},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_settings_of_the_tokenizer_count_as_in_its_class(folder, class_, setting):
    edit(folder / "tokenizer_config.json", tokenizer_class=class_, model_input_names=None, **setting)
    passages = [*PASSAGES, "sörting [SEP] a [MASK]", "[CLS] Key"]
    pairs = [(QUERY, passage) for passage in passages]
    model = CrossEncoder(str(folder), backend="onnx", device="cpu")
    # By itself, since a position in front of which padding stands is another one.
    expected = [model.predict([pair], activation_fn=torch.nn.Identity())[0] for pair in pairs]
    reranker = Reranker.load(folder)
    scores = [reranker.scores(QUERY, [passage])[0] for passage in passages]
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_padding_stands_where_the_folder_says(folder):
    edit(folder / "tokenizer_config.json", padding_side="left")
    scores = Reranker.load(folder).scores(QUERY, PASSAGES[:2])
    expected = by_cross_encoder(folder, PAIRS[:2])
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_nothing_but_a_graph_says_that_it_takes_both(folder):
    for name in ("config.json", "modules.json", "config_sentence_transformers.json"):
        (folder / name).unlink()
    edit(folder / "tokenizer_config.json", tokenizer_class="TokenizersBackend", model_input_names=None)
    told_apart = Reranker.load(folder).scores(QUERY, PASSAGES)
    np.testing.assert_allclose(told_apart, by_cross_encoder(folder), atol=1e-5)


@pytest.mark.parametrize("class_", ["BertTokenizer", "PreTrainedTokenizerFast"])
def test_a_saved_model_says_which_inputs_its_tokenizer_makes(tiny_reranker, tmp_path, class_):
    start = Path(shutil.copytree(tiny_reranker, tmp_path / "start"))
    edit(start / "tokenizer_config.json", tokenizer_class=class_, backend=None)
    model = CrossEncoder(str(start), device="cpu")
    expected = model.predict(PAIRS, activation_fn=torch.nn.Identity())
    CrossEncoder(str(start), backend="onnx", device="cpu").save(str(tmp_path / "onnx"))
    saved = json.loads((tmp_path / "onnx" / "tokenizer_config.json").read_text())
    assert saved["model_input_names"] == model.tokenizer.model_input_names
    assert ("token_type_ids" in saved["model_input_names"]) == (class_ == "BertTokenizer")
    np.testing.assert_allclose(Reranker.load(tmp_path / "onnx").scores(QUERY, PASSAGES), expected, atol=1e-5)


POSITIONS = {"RobertaConfig": (42, 0, 41), "XLMRobertaConfig": (42, 1, 40), "MPNetConfig": (42, 0, 40)}


@pytest.mark.parametrize("name", POSITIONS)
def test_positions_in_front_of_the_first_token_are_taken_off(tiny_reranker, tmp_path, name):
    """Nothing else says a length; MPNet counts from behind 1 whatever its padding id is."""
    import transformers

    positions, padding, usable = POSITIONS[name]
    config = getattr(transformers, name)(
        vocab_size=CrossEncoder(tiny_reranker, device="cpu").config.vocab_size,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=positions,
        pad_token_id=padding,
        num_labels=1,
        initializer_range=0.3,
    )
    folder = Path(shutil.copytree(tiny_reranker, tmp_path / "model"))
    edit(folder / "tokenizer_config.json", model_max_length=None, tokenizer_class="TokenizersBackend")
    torch.manual_seed(4)
    class_ = name.replace("Config", "ForSequenceClassification")
    getattr(transformers, class_)(config).eval().save_pretrained(folder)
    model = CrossEncoder(str(folder), device="cpu")
    assert model.max_length == usable
    expected = model.predict(PAIRS, activation_fn=torch.nn.Identity())
    CrossEncoder(str(folder), backend="onnx", device="cpu").save(str(tmp_path / "onnx"))
    edit(tmp_path / "onnx" / "tokenizer_config.json", model_max_length=None)
    reranker = Reranker.load(tmp_path / "onnx")
    assert reranker.max_length == usable
    np.testing.assert_allclose(reranker.scores(QUERY, PASSAGES), expected, atol=1e-5)
    np.testing.assert_allclose(by_cross_encoder(tmp_path / "onnx"), expected, atol=1e-5)
