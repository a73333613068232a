"""Mining with real encoders and cross-encoders equals the reference; caches and processes change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stlib import SentenceTransformer
from stlib.util import mine_hard_negatives

datasets = pytest.importorskip("datasets", reason="run: pip install '.[train]'")

pytestmark = [pytest.mark.parity]

QUESTIONS = ["how do i sort a list", "search key in dictionary", "the lazy dog", "text of a query", "a fox ?"]
ANSWERS = ["sort the list by key", "the dictionary is long", "dog and fox", "the query is short", "quick fox"]
CORPUS = ["word meaning", "the passage", "only short text", "brown dog jumps over", *QUESTIONS[:2]]
# The reference mines an anchor among the documents as its own negative, ours does not: compared without them.
DOCUMENTS = CORPUS[:4]


@pytest.fixture(scope="module")
def their(reference):
    return pytest.importorskip("sentence_transformers.util")


@pytest.fixture(scope="module")
def data():
    return datasets.Dataset.from_dict(
        {"number": list(range(6)), "q": [*QUESTIONS, QUESTIONS[0]], "a": [*ANSWERS, "list of words"]}
    )


@pytest.fixture(scope="module")
def judge(reference, tiny_bert, save_tokenizer, tmp_path_factory):
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(2)
    config = BertConfig.from_pretrained(tiny_bert, num_labels=1)
    folder = tmp_path_factory.mktemp("judge") / "bert"
    save_tokenizer(folder)
    BertForSequenceClassification(config).eval().save_pretrained(folder)
    return reference.CrossEncoder(str(folder), device="cpu")


def mined(mine, model, data, corpus=CORPUS, **options):
    return mine(
        data,
        model,
        anchor_column_name="q",
        positive_column_name="a",
        corpus=corpus,
        output_scores=True,
        verbose=False,
        **options,
    ).to_dict()


def assert_equal(ours, theirs):
    assert list(ours) == list(theirs)
    for name in ours:
        if name.startswith("score"):
            np.testing.assert_allclose(ours[name], theirs[name], atol=1e-5)
        else:
            assert ours[name] == theirs[name]


MODELS = {
    "prompts by name": {"prompts": {"query": "search: ", "document": "passage: "}},
    "dot": {"similarity_fn_name": "dot"},
    "euclidean": {"similarity_fn_name": "euclidean", "truncate_dim": 16},
    "manhattan": {"similarity_fn_name": "manhattan"},
}


@pytest.mark.parametrize(
    "options", [{}, {"query_prompt": "only "}, {"max_score": 0.9, "range_min": 1}], ids=str
)
@pytest.mark.parametrize("settings", MODELS.values(), ids=MODELS)
def test_models_equal(reference, their, tiny_bert, data, settings, options):
    ours = SentenceTransformer(tiny_bert, device="cpu", **settings)
    theirs = reference.SentenceTransformer(tiny_bert, device="cpu", **settings)
    options = {"corpus": DOCUMENTS, **options}
    expected = mined(their.mine_hard_negatives, theirs, data, **options)
    assert_equal(mined(mine_hard_negatives, ours, data, **options), expected)
    # A model of the reference will do too.
    assert_equal(mined(mine_hard_negatives, theirs, data, **options), expected)


@pytest.mark.parametrize("similarity", ["dot", "euclidean", "manhattan"])
def test_faiss_scores_are_those_of_the_model(tiny_bert, data, similarity):
    """The reference compares inner products of candidates with, say, distances of positives."""
    pytest.importorskip("faiss", reason="run: pip install faiss-cpu")
    model = SentenceTransformer(tiny_bert, device="cpu", similarity_fn_name=similarity)
    limits = {"absolute_margin": 0.01, "range_max": 10}
    expected = mined(mine_hard_negatives, model, data, **limits)
    assert_equal(mined(mine_hard_negatives, model, data, use_faiss=True, **limits), expected)


@pytest.mark.parametrize(
    "options", [{"max_score": 0.1}, {"absolute_margin": 0.0, "output_format": "n-tuple"}]
)
def test_a_cross_encoder_equals(reference, their, tiny_bert, judge, data, options):
    options = {**options, "corpus": DOCUMENTS, "cross_encoder": judge, "batch_size": 4, "num_negatives": 2}
    theirs = mined(
        their.mine_hard_negatives, reference.SentenceTransformer(tiny_bert, device="cpu"), data, **options
    )
    ours = mined(mine_hard_negatives, SentenceTransformer(tiny_bert, device="cpu"), data, **options)
    assert_equal(ours, theirs)
    assert ours["q"]


def test_texts_that_are_query_and_document_are_encoded_once(tiny_bert, data, monkeypatch):
    model = SentenceTransformer(tiny_bert, device="cpu")
    seen = []
    run = model.preprocess

    def counting(inputs, *args, **kwargs):
        seen.extend(inputs)
        return run(inputs, *args, **kwargs)

    monkeypatch.setattr(model, "preprocess", counting)
    plain = mined(mine_hard_negatives, model, data)
    assert sorted(seen) == sorted({*QUESTIONS, *ANSWERS, "list of words", *CORPUS})
    seen.clear()
    prompted = mined(mine_hard_negatives, model, data, query_prompt="search: ")
    assert sum(text in QUESTIONS[:2] or "search: " in text for text in seen) >= 4
    assert plain != prompted


def test_a_cache_is_read_until_the_model_changes(tiny_bert, data, tmp_path, monkeypatch):
    model = SentenceTransformer(tiny_bert, device="cpu")
    first = mined(mine_hard_negatives, model, data, cache_folder=str(tmp_path))
    names = sorted(path.name.split("_")[0] for path in tmp_path.iterdir())
    assert names == ["corpus", "query"]
    assert {path.suffix for path in tmp_path.iterdir()} == {".npy"}

    def refuse(*args, **kwargs):
        raise AssertionError("encodes")

    with monkeypatch.context() as patch:
        patch.setattr(model, "encode", refuse)
        assert mined(mine_hard_negatives, model, data, cache_folder=str(tmp_path)) == first
        with pytest.raises(AssertionError, match="encodes"):
            mined(mine_hard_negatives, model, data, cache_folder=str(tmp_path), query_prompt="search: ")
    with torch.no_grad():
        next(model.parameters())[10:40].mul_(-1)
    changed = mined(mine_hard_negatives, model, data, cache_folder=str(tmp_path))
    assert changed == mined(mine_hard_negatives, model, data) != first


def test_a_damaged_cache_is_made_again(tiny_bert, data, tmp_path, caplog):
    model = SentenceTransformer(tiny_bert, device="cpu")
    first = mined(mine_hard_negatives, model, data, cache_folder=str(tmp_path))
    for path in tmp_path.glob("query*"):
        path.write_bytes(path.read_bytes()[:90])
    for path in tmp_path.glob("corpus*"):
        np.save(path, np.zeros((1, 32), dtype=np.float32))
    assert_equal(mined(mine_hard_negatives, model, data, cache_folder=str(tmp_path)), first)
    assert caplog.text.count("encoded again") == 2


def test_processes_find_the_same(tiny_bert, data):
    model = SentenceTransformer(tiny_bert, device="cpu")
    ours = mined(mine_hard_negatives, model, data, use_multi_process=["cpu", "cpu"])
    assert_equal(ours, mined(mine_hard_negatives, model, data))
