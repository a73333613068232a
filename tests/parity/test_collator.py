"""Batches of the collator, equal to the reference's for every shape of its options."""

from __future__ import annotations

import logging
import pickle

import pytest
import torch

from stlib import SentenceTransformer
from stlib.base.data_collator import BaseDataCollator
from stlib.errors import InvalidInput, InvalidOption
from stlib.models import Pooling, Router, Transformer
from stlib.sentence_transformer.data_collator import SentenceTransformerDataCollator

PAIRS = [
    {"question": "how do i sort a list", "answer": "the key of sort"},
    {"question": "quick brown fox", "answer": "a dog jumps over the lazy dog"},
    {"question": "", "answer": "only text"},
]
SCORED = [{**row, "score": value} for row, value in zip(PAIRS, (0.5, 1.0, 0.0), strict=True)]
NAMED = [{**row, "dataset_name": "first"} for row in SCORED]
OTHER = [{**row, "dataset_name": "second"} for row in SCORED]


@pytest.fixture(scope="module")
def models(tiny_bert, reference):
    return SentenceTransformer(tiny_bert, device="cpu"), reference.SentenceTransformer(
        tiny_bert, device="cpu"
    )


@pytest.fixture(scope="module")
def their_collator(reference):
    from sentence_transformers.sentence_transformer.data_collator import SentenceTransformerDataCollator

    return SentenceTransformerDataCollator


def assert_same(ours, theirs):
    # The order matters too: losses take columns by their place
    assert list(ours) == list(theirs)
    for key, value in theirs.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(ours[key], value) and ours[key].dtype == value.dtype, key
        else:
            assert ours[key] == value, key


PROMPTS = {
    "none": (None, NAMED),
    "one for all": ("search: ", PAIRS),
    "one for all, named rows": ("search: ", NAMED),
    "by column": ({"question": "query: ", "answer": "text: "}, PAIRS),
    "one column only": ({"answer": "text: "}, SCORED),
    "by column, named rows": ({"question": "query: "}, NAMED),
    "by dataset": ({"first": "query: ", "second": "text: "}, NAMED),
    "by dataset, the other": ({"first": "query: ", "second": "text: "}, OTHER),
    "by dataset, not named": ({"second": "text: "}, NAMED),
    "by dataset and column": ({"first": {"question": "query: ", "answer": "text: "}}, NAMED),
    "by dataset and column, not named": ({"first": {"question": "query: "}}, OTHER),
    "mixed": ({"first": "query: ", "second": {"answer": "text: "}}, OTHER),
    "empty": ({}, SCORED),
    "empty text": ("", SCORED),
}


@pytest.mark.parametrize("case", PROMPTS)
@pytest.mark.parametrize("max_length", [None, 6])
def test_prompts(models, their_collator, case, max_length):
    prompts, rows = PROMPTS[case]
    batches = [
        kind(preprocess_fn=model.preprocess, prompts=prompts, max_length=max_length)(rows)
        for kind, model in zip((SentenceTransformerDataCollator, their_collator), models, strict=True)
    ]
    assert_same(*batches)


def test_prompts_are_counted_for_pooling_without_them(tiny_bert, reference, their_collator):
    """The mean of a batch leaves the prompt's tokens out, as the reference's does."""
    vectors = []
    for library, kind in (
        ("stlib", SentenceTransformerDataCollator),
        ("sentence_transformers", their_collator),
    ):
        modules = pytest.importorskip(f"{library}.models")
        word = modules.Transformer(tiny_bert)
        pool = modules.Pooling(32, include_prompt=False)
        cls = SentenceTransformer if library == "stlib" else reference.SentenceTransformer
        model = cls(modules=[word, pool], device="cpu")
        batch = kind(preprocess_fn=model.preprocess, prompts={"question": "query the text: "})(PAIRS[:2])
        features = {
            key.removeprefix("question_"): value for key, value in batch.items() if "question_" in key
        }
        assert "prompt_length" in features
        with torch.no_grad():
            vectors.append(model(features)["sentence_embedding"])
        plain = model.encode([row["question"] for row in PAIRS[:2]], convert_to_tensor=True)
        assert not torch.allclose(vectors[-1], plain)
    torch.testing.assert_close(*vectors)


def routed(library, tiny_bert, cls):
    modules = pytest.importorskip(f"{library}.models")
    route = [modules.Transformer(tiny_bert), modules.Pooling(32)]
    router = modules.Router.for_query_document(query_modules=route, document_modules=route)
    return cls(modules=[router], device="cpu")


ROUTES = {
    "by column": ({"question": "query", "answer": "document"}, PAIRS),
    "one column": ({"answer": "document"}, NAMED),
    "by dataset": ({"first": {"question": "query", "answer": "document"}}, NAMED),
    "by dataset, not named": ({"first": {"question": "query"}}, OTHER),
    "by dataset, rows without a name": ({"first": {"question": "query"}}, PAIRS),
    "empty": ({}, PAIRS),
    "none": (None, PAIRS),
}
LENGTHS = {"none": None, "one": 5, "by task": {"query": 4, "document": 7}, "one task": {"query": 4}}


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("case", ROUTES)
def test_routes(tiny_bert, reference, their_collator, case, length):
    mapping, rows = ROUTES[case]
    calls = []

    def preprocess(inputs, **options):
        calls.append((inputs, options))
        return {"input_ids": torch.zeros(len(inputs), 2)}

    batches = []
    for kind in (SentenceTransformerDataCollator, their_collator):
        batches.append(
            kind(preprocess_fn=preprocess, router_mapping=mapping, max_length=LENGTHS[length])(rows)
        )
    assert_same(*batches)
    assert calls[: len(calls) // 2] == calls[len(calls) // 2 :]


def test_routes_of_a_model(tiny_bert, reference, their_collator):
    mapping = {"question": "query", "answer": "document"}
    batches = [
        kind(
            routed(library, tiny_bert, cls).preprocess,
            router_mapping=mapping,
            prompts={"question": "query: "},
        )(PAIRS)
        for library, kind, cls in (
            ("stlib", SentenceTransformerDataCollator, SentenceTransformer),
            ("sentence_transformers", their_collator, reference.SentenceTransformer),
        )
    ]
    assert_same(*batches)
    assert isinstance(routed("stlib", tiny_bert, SentenceTransformer)[0], Router)


LABELS = {
    "floats": [0.5, 1, 0.25],
    "classes": [2, 0, 1],
    "lists": [[0.5, 1.0], [0.0, 0.25], [1.0, 1.0]],
    "tensors": [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]), torch.tensor([5.0, 6.0])],
    "booleans": [True, False, True],
}


@pytest.mark.parametrize("values", LABELS)
@pytest.mark.parametrize("column", ["label", "labels", "score", "scores", "other"])
def test_labels(models, their_collator, column, values):
    rows = [{**row, column: value} for row, value in zip(PAIRS, LABELS[values], strict=True)]
    for names in (["other"], ["score", "label", "labels", "scores", "other"]):
        if column not in names:
            continue
        batches = [
            kind(preprocess_fn=model.preprocess, valid_label_columns=names)(rows)
            for kind, model in zip((SentenceTransformerDataCollator, their_collator), models, strict=True)
        ]
        assert_same(*batches)


def test_the_first_label_counts_and_defaults_are_the_references(models, their_collator):
    rows = [{"text": "a", "scores": 1.0, "label": 2.0}, {"text": "the", "scores": 3.0, "label": 4.0}]
    ours = BaseDataCollator(models[0].preprocess)
    theirs = their_collator(models[1].preprocess)
    assert ours.valid_label_columns == theirs.valid_label_columns == ["label", "labels", "score", "scores"]
    batch = BaseDataCollator(lambda inputs, **_: {"x": inputs}, ["scores", "label"])(rows)
    assert batch["label"].tolist() == [1.0, 3.0]
    # A second label column is not taken out
    assert batch["label_x"] == [2.0, 4.0]
    assert ours([]) == {} == theirs([])


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        (["positive", "anchor"], "positive"),
        (["answer", "question"], "answer"),
        (["anchor", "negative", "positive"], "negative"),
        (["response", "query"], "response"),
        (["premise", "hypothesis"], "hypothesis"),
        (["anchor", "positive", "negative"], None),
        (["query", "text"], None),
    ],
)
def test_columns_in_an_unusual_order(caplog, columns, named):
    collator = BaseDataCollator(lambda inputs, **_: {})
    rows = [dict.fromkeys([*columns, "label"], 1)]
    with caplog.at_level(logging.WARNING):
        collator(rows)
        collator(rows)
    messages = [record.message for record in caplog.records]
    if named is None:
        assert not messages
    else:
        # Once, although there were two batches
        (message,) = messages
        assert repr(named) in message or any(repr(name) in message for name in columns)
        assert "select_columns" in message


def test_columns_of_identifiers(caplog):
    collator = BaseDataCollator(lambda inputs, **_: {})
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            collator([{"query_id": "1", "id": "2", "text": "3"}])
    (record,) = caplog.records
    assert "'query_id', 'id'" in record.message and "resolve_ids" in record.message


def test_what_cannot_be_collated(models):
    collator = BaseDataCollator(models[0].preprocess, prompts={"first": {"question": "query: "}})
    with pytest.raises(InvalidOption, match=r"nested dictionary for the datasets \['first'\]"):
        collator(PAIRS)
    with pytest.raises(InvalidInput, match="label column 'label' must hold numbers"):
        BaseDataCollator(models[0].preprocess)([{"text": "a", "label": "yes"}])
    with pytest.raises(InvalidInput, match="lists of as many numbers"):
        BaseDataCollator(models[0].preprocess)([{"text": "a", "label": [1]}, {"text": "a", "label": [1, 2]}])


def test_a_collator_travels_to_the_processes_of_a_loader(tiny_bert):
    model = SentenceTransformer(modules=[Transformer(tiny_bert), Pooling(32)], device="cpu")
    collator = SentenceTransformerDataCollator(model.preprocess, prompts="query: ")
    assert_same(pickle.loads(pickle.dumps(collator))(SCORED), collator(SCORED))
