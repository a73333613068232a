"""Which folders, hub models and objects a search takes as its reranker, and what it says of the others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForQuestionAnswering

from indexing import Collection
from indexing.errors import RerankingFailed
from indexing.models.rerankers import load_reranker
from stlib import CrossEncoder
from stlib.runtime import Reranker

pytestmark = pytest.mark.parity

QUERY = "how do i sort a list"
PASSAGES = ["sort a list in short", "the quick brown fox", "meaning of word"]
PAIRS = [(QUERY, passage) for passage in PASSAGES]
SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
HEADLESS = "holds BertModel, which gives no score for a pair: an embedding model, or one without"


@pytest.fixture(scope="module")
def exported(tiny_reranker, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("onnx") / "reranker"
    CrossEncoder(tiny_reranker, backend="onnx", device="cpu").save(str(folder))
    return folder


@pytest.fixture(scope="module")
def food(tmp_path_factory):
    with Collection.create("food", home=tmp_path_factory.mktemp("home")) as collection:
        collection.add([{"id": "fox", "text": "the quick brown fox"}, {"id": "list", "text": "sort a list"}])
        yield collection


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def logits(model: CrossEncoder) -> np.ndarray:
    return np.asarray(model.predict(PAIRS, activation_fn=torch.nn.Identity()))


def refusal(model: Any) -> str:
    with pytest.raises(RerankingFailed) as raised:
        load_reranker(model)
    return str(raised.value)


# --- heads ------------------------------------------------------------------------------------------------


def test_a_head_for_something_else_is_none(tiny_reranker, tmp_path):
    folder = Path(shutil.copytree(tiny_reranker, tmp_path / "answers"))
    BertForQuestionAnswering(BertConfig(vocab_size=200, **SIZES)).save_pretrained(folder)
    assert "holds BertForQuestionAnswering, which gives no score for a pair" in refusal(folder)


def test_a_hub_model_without_a_head_is_refused(hub, tiny_bert):
    hub.put_folder("org/encoder", Path(tiny_bert))
    assert HEADLESS in refusal("org/encoder")


def test_a_head_that_was_made_up_while_loading_is_none(tiny_bert, tmp_path):
    model = CrossEncoder(tiny_bert, device="cpu")
    message = refusal(model)
    assert HEADLESS in message
    assert "one that you trained is known as such once saved" in message
    model.save(str(tmp_path / "saved"))
    for saved in (model, str(tmp_path / "saved")):
        np.testing.assert_allclose(load_reranker(saved).scores(QUERY, PASSAGES), logits(model), atol=1e-6)


def test_a_head_that_was_trained_counts_before_it_is_saved(tiny_bert, tmp_path):
    from datasets import Dataset

    from stlib.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments

    model = CrossEncoder(tiny_bert, device="cpu")
    data = Dataset.from_dict({"query": [QUERY] * 2, "passage": PASSAGES[:2], "label": [1.0, 0.0]})
    options = CrossEncoderTrainingArguments(
        output_dir=str(tmp_path), max_steps=1, report_to="none", save_strategy="no", use_cpu=True
    )
    CrossEncoderTrainer(model, options, data).train()
    np.testing.assert_allclose(load_reranker(model).scores(QUERY, PASSAGES), logits(model), atol=1e-6)


def test_who_does_not_say_is_believed(tiny_reranker, tmp_path):
    folder = Path(shutil.copytree(tiny_reranker, tmp_path / "model"))
    edit(folder / "config.json", architectures=None)
    expected = logits(CrossEncoder(tiny_reranker, device="cpu"))
    np.testing.assert_allclose(load_reranker(folder).scores(QUERY, PASSAGES), expected, atol=1e-6)


def test_no_bar_is_drawn_where_nobody_looks(tiny_reranker, capfd):
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.enable_progress_bar()
    try:
        CrossEncoder(tiny_reranker, device="cpu")
        assert "Loading weights" in capfd.readouterr().err  # there is one to be kept out
        load_reranker(tiny_reranker)
        assert capfd.readouterr().err == ""
        assert logging.is_progress_bar_enabled()
    finally:
        if not shown:
            logging.disable_progress_bar()


# --- ONNX folders that need more than the runtime ---------------------------------------------------------


def test_what_the_runtime_cannot_prepare_runs_all_the_same(exported, tmp_path):
    folder = Path(shutil.copytree(exported, tmp_path / "lower"))
    edit(folder / "sentence_bert_config.json", do_lower_case=True)
    reranker = load_reranker(folder)
    assert not isinstance(reranker, Reranker)
    np.testing.assert_allclose(
        reranker.scores(QUERY, PASSAGES), Reranker.load(exported).scores(QUERY, PASSAGES), atol=1e-5
    )


def test_the_reason_is_that_of_the_folder(tiny_classifier, exported, tmp_path):
    CrossEncoder(tiny_classifier, backend="onnx", device="cpu").save(str(tmp_path / "classes"))
    assert "gives 3 scores per pair; a reranker gives one" in refusal(tmp_path / "classes")
    folder = Path(shutil.copytree(exported, tmp_path / "foreign"))
    (folder / "modules.json").write_text('[{"path": "", "type": "foreign.Transformer"}, {"type": "x.Y"}]')
    assert "without torch: " in refusal(folder)
    assert "names the modules Transformer, Y" in refusal(folder)


# --- files and names that are none ------------------------------------------------------------------------

ROBERTA = {"model_type": "roberta", "max_position_embeddings": 514}


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("modules.json", 5, "modules.json: expected a list of modules"),
        ("modules.json", None, "modules.json: expected a list of modules"),
        ("modules.json", ["x"], "modules.json: expected a list of modules"),
        ("config.json", {**ROBERTA, "pad_token_id": 600}, "leaves no position behind pad_token_id=600"),
        ("config.json", {**ROBERTA, "max_position_embeddings": 2}, "leaves no position behind pad_token_id"),
        ("config.json", [], "config.json: expected a JSON object, found list"),
        ("tokenizer_config.json", {"model_input_names": 3}, "model_input_names is 3; it must be a list"),
        ("tokenizer_config.json", {"padding_side": "up"}, "padding_side is 'up'; use 'left' or 'right'"),
    ],
)
def test_an_odd_file_leaves_the_answer_as_it_was(exported, food, tmp_path, file, content, reason):
    folder = Path(shutil.copytree(exported, tmp_path / "odd"))
    (folder / file).write_text(json.dumps(content))
    before, found = food.search("fox"), food.search("fox", rerank=str(folder))
    assert [(r.id, r.score) for r in found.results] == [(r.id, r.score) for r in before.results]
    assert found.reranked == 0
    assert reason in found.notes[0]


def test_a_padding_id_that_is_missing_is_the_usual_one(exported, food, tmp_path):
    folder = Path(shutil.copytree(exported, tmp_path / "odd"))
    edit(folder / "config.json", model_type="roberta", pad_token_id=None, max_position_embeddings=42)
    assert Reranker.load(folder).max_length == 40
    assert food.search("fox", rerank=str(folder)).reranked == 2


def test_a_name_that_no_file_can_have(food):
    found = food.search("fox", rerank="x" * 5000)
    assert found.reranked == 0
    assert len(found.notes[0]) < 2500
    assert "File name too long" in found.notes[0]


def test_a_name_that_the_hub_does_not_know(hub):
    message = refusal("cross-encoders/typo")
    assert message.startswith("reranker 'cross-encoders/typo' cannot be loaded: ")
    assert message.count("typo") == 2
