"""Rerankers that are an ONNX file and a tokenizer, without config.json: the graph tells the rest."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from stlib import CrossEncoder, SentenceTransformer, errors, export_dynamic_quantized_onnx_model
from stlib.runtime import Encoder, Reranker

pytestmark = pytest.mark.parity

QUERY = "How do I sort a list in Python?"
PASSAGES = [
    "sorted() builds a new sorted list from an iterable; list.sort() sorts a list in place.",
    "The library is closed on Sundays.",
    "",
    "Ünïcödé, 漢字 and e\u0301 in a passage about sorting",
    "word " * 2000,
]
PAIRS = [(QUERY, passage) for passage in PASSAGES]
LOGITS = torch.nn.Identity()
SETTINGS = ("config.json", "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json")


def bare(source: str, folder: Path, tokenizer_config: bool = True) -> Path:
    """A model exported into ``folder``, without the files that say what it is."""
    CrossEncoder(source, backend="onnx", device="cpu").save(str(folder))
    for name in SETTINGS + (() if tokenizer_config else ("tokenizer_config.json",)):
        (folder / name).unlink()
    return folder


@pytest.fixture(scope="module")
def reranker(tiny_reranker, tmp_path_factory):
    return bare(tiny_reranker, tmp_path_factory.mktemp("bare") / "reranker")


@pytest.fixture(scope="module")
def classifier(tiny_classifier, tmp_path_factory):
    return bare(tiny_classifier, tmp_path_factory.mktemp("bare") / "classifier")


def load(folder: Path, **options) -> CrossEncoder:
    return CrossEncoder(folder, backend="onnx", device="cpu", **options)


def test_the_real_reranker_scores_as_without_torch(ms_marco):
    model, other = load(ms_marco), Reranker.load(ms_marco)
    expected = other.scores(QUERY, PASSAGES)
    assert expected.argmax() == 0
    np.testing.assert_allclose(model.predict(PAIRS, activation_fn=LOGITS), expected, atol=1e-5)
    np.testing.assert_allclose(model.predict(PAIRS[0]), 1 / (1 + np.exp(-expected[0])), atol=1e-6)
    assert (model.num_labels, model.max_length) == (1, other.max_length)
    assert model.rank(QUERY, PASSAGES)[0]["corpus_id"] == 0


@pytest.mark.parametrize("tokenizer_config", [True, False])
def test_scores_are_those_of_the_torch_model(tiny_reranker, tmp_path, tokenizer_config):
    """Without tokenizer_config.json, too, the two texts of a pair are told apart."""
    folder = bare(tiny_reranker, tmp_path / "model", tokenizer_config)
    limit = 64 if tokenizer_config else 512  # the usual length, where no file says another
    model, other = load(folder), Reranker.load(folder)
    assert model.max_length == other.max_length == limit
    pairs = PAIRS[:4]
    torchs = CrossEncoder(tiny_reranker, device="cpu").predict(pairs, activation_fn=LOGITS)
    np.testing.assert_allclose(model.predict(pairs, activation_fn=LOGITS), torchs, atol=2e-5)
    np.testing.assert_allclose(
        model.predict(pairs, activation_fn=LOGITS), other.scores(QUERY, PASSAGES[:4]), atol=1e-5
    )


def test_the_number_of_labels_is_that_of_the_graph(tiny_classifier, classifier):
    model = load(classifier)
    assert model.num_labels == 3
    expected = CrossEncoder(tiny_classifier, device="cpu").predict(PAIRS[:4])
    np.testing.assert_allclose(model.predict(PAIRS[:4]), expected, atol=2e-5)
    assert load(classifier, num_labels=3).num_labels == 3
    with pytest.raises(errors.InvalidOption, match=r"model\.onnx gives 3 scores per pair.*num_labels=1"):
        load(classifier, num_labels=1)


@pytest.mark.parametrize("shape", [["n", "labels"], None])
def test_a_graph_that_does_not_tell_its_labels_is_run(tiny_classifier, classifier, tmp_path, shape):
    onnx = pytest.importorskip("onnx", reason="changing graphs needs onnx; run: pip install onnx")
    folder = Path(shutil.copytree(classifier, tmp_path / "vague"))
    graph = onnx.load(folder / "onnx" / "model.onnx")
    kind = graph.graph.output[0].type.tensor_type
    if shape is None:
        kind.ClearField("shape")
    else:
        kind.shape.dim[1].dim_param = shape[1]
    onnx.save(graph, folder / "onnx" / "model.onnx")
    model = load(folder)
    assert model.num_labels == 3
    expected = CrossEncoder(tiny_classifier, device="cpu").predict(PAIRS[:4])
    np.testing.assert_allclose(model.predict(PAIRS[:4]), expected, atol=2e-5)


def test_a_graph_of_one_number_per_pair(reranker, tmp_path):
    """Some exports drop the dimension of the one label."""
    onnx = pytest.importorskip("onnx", reason="changing graphs needs onnx; run: pip install onnx")
    folder = Path(shutil.copytree(reranker, tmp_path / "flat"))
    model = onnx.load(folder / "onnx" / "model.onnx")
    graph, name = model.graph, model.graph.output[0].name
    for node in graph.node:
        node.output[:] = ["inner" if output == name else output for output in node.output]
    graph.node.append(onnx.helper.make_node("Squeeze", ["inner", "axes"], [name]))
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([1], np.int64), "axes"))
    graph.output[0].type.tensor_type.shape.dim.pop()
    onnx.save(model, folder / "onnx" / "model.onnx")
    np.testing.assert_allclose(load(folder).predict(PAIRS), load(reranker).predict(PAIRS), atol=1e-6)


def test_labels_that_contradict_the_file_are_named(tiny_classifier, tmp_path):
    load(tiny_classifier).save(str(tmp_path / "three"))
    with pytest.raises(errors.InvalidOption, match=r"gives 3 scores per pair.*num_labels=1"):
        load(tmp_path / "three", num_labels=1)
    config = tmp_path / "three" / "config.json"
    config.write_text(config.read_text().replace(',\n    "2": "LABEL_2"', ""))
    with pytest.raises(
        errors.ModelConfigError, match=r"gives 3 scores per pair.*config\.json names 2 labels"
    ):
        load(tmp_path / "three")


def test_saving_keeps_scores_and_settings(reranker, tmp_path):
    model = load(reranker, max_length=24, activation_fn=torch.nn.Tanh(), prompts={"q": "search: "})
    expected = model.predict(PAIRS, prompt_name="q")
    model.save(str(tmp_path / "saved"))
    again = load(tmp_path / "saved")
    np.testing.assert_array_equal(again.predict(PAIRS, prompt_name="q"), expected)
    assert type(again.activation_fn) is torch.nn.Tanh
    kept = Reranker.load(tmp_path / "saved").scores(QUERY, PASSAGES)
    np.testing.assert_allclose(again.predict(PAIRS, activation_fn=LOGITS), kept, atol=1e-5)
    with pytest.raises(errors.MissingModelFile, match="backend='onnx'"):
        CrossEncoder(tmp_path / "saved", device="cpu")


def test_saving_without_a_tokenizer_config_keeps_scores(tiny_reranker, tmp_path):
    model = load(bare(tiny_reranker, tmp_path / "model", tokenizer_config=False))
    model.save(str(tmp_path / "saved"))
    again = load(tmp_path / "saved")
    np.testing.assert_array_equal(again.predict(PAIRS[:4]), model.predict(PAIRS[:4]))


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_another_backend_is_told_what_to_do(reranker, backend):
    with pytest.raises(errors.MissingModelFile, match=r"no config\.json.*load it with backend='onnx'"):
        CrossEncoder(reranker, backend=backend, device="cpu")


def test_what_is_no_reranker_is_named(tiny_bert, reranker, tmp_path):
    (tmp_path / "empty").mkdir()
    for backend in ("torch", "onnx"):
        with pytest.raises(errors.MissingModelFile, match=r"neither modules\.json nor config\.json"):
            CrossEncoder(tmp_path / "empty", backend=backend, device="cpu")
    with pytest.raises(errors.ModelNotFound, match=r"there is no folder|neither a folder"):
        load(tmp_path / "nowhere")
    SentenceTransformer(tiny_bert, backend="onnx", device="cpu").save(str(tmp_path / "embeds"))
    for name in SETTINGS:
        (tmp_path / "embeds" / name).unlink()
    with pytest.raises(errors.ModelConfigError, match="3 dimensions, as embedding models do"):
        load(tmp_path / "embeds")
    folder = Path(shutil.copytree(reranker, tmp_path / "damaged"))
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(errors.MissingModelFile, match=r"tokenizer\.json"):
        load(folder)
    (folder / "onnx" / "model.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(errors.ModelConfigError, match=r"model\.onnx cannot be loaded"):
        load(folder)


def test_eight_bit_scores_do_not_depend_on_the_pairs_beside(ms_marco):
    reranker = Reranker.load(ms_marco)
    documents = ["Call sorted() on the list.", "Tigers are cats.", "A list has a method sort. " * 20]
    together = reranker.scores("how do i sort a list", documents)
    alone = [reranker.scores("how do i sort a list", [document])[0] for document in documents]
    assert together.tolist() == alone
    model, pairs = load(ms_marco), [("how do i sort a list", document) for document in documents]
    np.testing.assert_allclose(model.predict(pairs, activation_fn=LOGITS), together, atol=1e-5)
    for same in (
        [model.predict(pair) for pair in pairs],
        model.predict(pairs[::-1])[::-1],
        model.predict(pairs, processing_kwargs={"text": {"padding": "max_length"}}),
        model.predict(pairs, batch_size=1),
    ):
        assert list(same) == model.predict(pairs).tolist()


def test_eight_bit_vectors_without_torch_do_not_depend_on_the_texts_beside(tiny_bert, tmp_path):
    model = SentenceTransformer(tiny_bert, backend="onnx", device="cpu")
    model.save(str(tmp_path))
    export_dynamic_quantized_onnx_model(model, "avx2", str(tmp_path))
    encoder = Encoder.load(tmp_path, file_name="model_quint8_avx2.onnx")
    texts = ["Tigers are cats.", "A list has a method sort.", *(f"The number {i} is even." for i in range(9))]
    together = encoder.encode(texts)
    alone = np.vstack([encoder.encode([text]) for text in texts])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(encoder.encode(texts[::-1])[::-1], alone)
    assert encoder.encode([]).shape == (0, 32)
