"""Which prompt a query and a document get: the vectors are the reference's for every set of names."""

from __future__ import annotations

import itertools
import logging

import numpy as np
import pytest

from indexing.models.encoders import FullModelEncoder
from stlib import SentenceTransformer

pytestmark = pytest.mark.parity

NAMES = ("query", "document", "passage", "corpus")
TEXTS = ["how do i sort a list", "the quick brown fox"]
ASKED = [{}, {"prompt_name": "passage"}, {"prompt": "short "}]


def both(reference, folder, **options):
    return [
        cls(folder, device="cpu", **options) for cls in (SentenceTransformer, reference.SentenceTransformer)
    ]


@pytest.mark.parametrize("names", [n for k in range(4) for n in itertools.combinations(NAMES, k)], ids=str)
@pytest.mark.parametrize("empty", [(), ("document",), ("passage",)], ids=str)
def test_prompts_are_those_of_the_reference(reference, loss_models, names, empty):
    ours, theirs = loss_models
    prompts = {name: "" if name in empty else f"{name} : " for name in names}
    usual = {"query": "", "document": ""}
    kept = ours.prompts, theirs.prompts
    try:
        ours.prompts, theirs.prompts = ({**usual, **prompts} for _ in kept)
        _assert_same(ours, theirs)
        ours.prompts, theirs.prompts = dict(prompts), dict(prompts)  # set on the model: those alone
        _assert_same(ours, theirs)
    finally:
        ours.prompts, theirs.prompts = kept


def _assert_same(ours, theirs):
    for method, asked in itertools.product(("encode_query", "encode_document"), ASKED):
        if asked.get("prompt_name", "passage") not in ours.prompts and "prompt_name" in asked:
            continue
        mine, other = (getattr(model, method)(TEXTS, **asked) for model in (ours, theirs))
        np.testing.assert_allclose(mine, other, atol=1e-5)


@pytest.mark.parametrize(
    "given",
    [
        {"query": "query : ", "passage": "passage : "},
        {"query": None, "document": ""},
        {"passage": None},
        {"corpus": "corpus : "},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "saved", [{}, {"query": "search ", "passage": "text "}, {"document": "only "}], ids=str
)
def test_given_and_saved_prompts_are_merged_as_in_the_reference(reference, tiny_bert, tmp_path, given, saved):
    SentenceTransformer(tiny_bert, device="cpu", prompts=saved).save_pretrained(str(tmp_path))
    ours, theirs = both(reference, str(tmp_path), prompts=given)
    assert ours.prompts == theirs.prompts
    _assert_same(ours, theirs)


def test_a_prompt_that_is_passed_over_is_named_once(tiny_bert, caplog):
    model = SentenceTransformer(
        tiny_bert, device="cpu", prompts={"query": "query : ", "passage": "passage : "}
    )
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            model.encode_query(TEXTS)
            model.encode_document(TEXTS)
    (line,) = [record.getMessage() for record in caplog.records if "passage" in record.getMessage()]
    assert "prompt_name='passage'" in line
    caplog.clear()
    named = model.encode_document(TEXTS, prompt_name="passage")
    np.testing.assert_array_equal(named, model.encode([f"passage : {text}" for text in TEXTS]))
    assert not caplog.records


def test_an_index_takes_the_prompt_that_has_a_text(tiny_bert):
    model = SentenceTransformer(
        tiny_bert, device="cpu", prompts={"query": "query : ", "passage": "passage : "}
    )
    encoder = FullModelEncoder(model)
    np.testing.assert_array_equal(
        encoder.encode_document(TEXTS), model.encode_document(TEXTS, prompt_name="passage")
    )
    np.testing.assert_array_equal(
        encoder.encode_document(TEXTS, prompt_name="query"), model.encode_document(TEXTS, prompt_name="query")
    )
