"""A subclass may take the options of encode and predict as keywords: everything that calls it gives names."""

from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset

from stlib import CrossEncoder, SentenceTransformer, util
from stlib.cross_encoder import evaluation as pair_evaluation
from stlib.sentence_transformer import evaluation

pytestmark = pytest.mark.parity

QUERIES = ["how do i sort a list", "what is a key", "fox"]
TEXTS = ["sort the list", "a key of the dictionary", "the quick fox", "lazy dog"]

CALLS = []


class Keywords(SentenceTransformer):
    def encode(self, inputs, **options):
        CALLS.append((inputs, options))
        return super().encode(inputs, **options)


class OlderName(SentenceTransformer):
    def encode(self, sentences, batch_size=8, **options):
        return super().encode(sentences, batch_size=batch_size, **options)


class Pairs(CrossEncoder):
    def predict(self, inputs, **options):
        return super().predict(inputs, **options)


@pytest.fixture(scope="module")
def models(tiny_bert):
    return [cls(tiny_bert, device="cpu") for cls in (SentenceTransformer, Keywords, OlderName)]


@pytest.fixture(scope="module")
def rerankers(tiny_reranker):
    return [cls(tiny_reranker, device="cpu") for cls in (CrossEncoder, Pairs)]


@pytest.mark.parametrize("method", ["encode_query", "encode_document"])
@pytest.mark.parametrize("options", [{}, {"truncate_dim": 4, "normalize_embeddings": True}])
def test_encode_of_a_subclass_gets_names(models, method, options):
    plain, *own = (getattr(model, method)(TEXTS, **options) for model in models)
    for values in own:
        np.testing.assert_array_equal(values, plain)
    _, asked = CALLS[-1]
    assert asked["task"] == method.removeprefix("encode_")
    assert options.items() <= asked.items()


EVALUATORS = {
    "retrieval": lambda: evaluation.InformationRetrievalEvaluator(
        {str(i): text for i, text in enumerate(QUERIES)},
        {str(i): text for i, text in enumerate(TEXTS)},
        {str(i): {str(i)} for i in range(len(QUERIES))},
        write_csv=False,
    ),
    "reranking": lambda: evaluation.RerankingEvaluator(
        [{"query": QUERIES[0], "positive": TEXTS[:1], "negative": TEXTS[1:]}], write_csv=False
    ),
    "reranking one by one": lambda: evaluation.RerankingEvaluator(
        [{"query": QUERIES[0], "positive": TEXTS[:1], "negative": TEXTS[1:]}],
        use_batched_encoding=False,
        write_csv=False,
    ),
    "triplets": lambda: evaluation.TripletEvaluator(QUERIES, TEXTS[:3], TEXTS[1:], write_csv=False),
    "pairs": lambda: evaluation.BinaryClassificationEvaluator(QUERIES, TEXTS[:3], [1, 0, 1], write_csv=False),
    "similarity": lambda: evaluation.EmbeddingSimilarityEvaluator(
        QUERIES, TEXTS[:3], [0.1, 0.5, 0.9], write_csv=False
    ),
    "translation": lambda: evaluation.TranslationEvaluator(QUERIES, TEXTS[:3], write_csv=False),
    "paraphrases": lambda: evaluation.ParaphraseMiningEvaluator(
        {str(i): text for i, text in enumerate(TEXTS)}, [("0", "1")], write_csv=False
    ),
}


@pytest.mark.parametrize("name", EVALUATORS)
def test_evaluators_give_names(models, name):
    plain, *own = (EVALUATORS[name]()(model) for model in models)
    assert own == [plain] * 2


def test_mining_gives_names(models, rerankers):
    rows = Dataset.from_dict({"query": QUERIES, "answer": TEXTS[:3]})
    options = {"num_negatives": 1, "verbose": False, "corpus": TEXTS}
    plain, *own = (
        util.mine_hard_negatives(rows, model, cross_encoder=reranker, **options).to_dict()
        for model, reranker in zip(models, [*rerankers, rerankers[1]], strict=True)
    )
    assert own == [plain] * 2
    plain, *own = (util.paraphrase_mining(model, TEXTS) for model in models)
    assert own == [plain] * 2


def test_a_stream_and_several_processes_give_names(models):
    plain, *own = (np.concatenate(list(model.encode_stream(TEXTS, window=2))) for model in models)
    for values in own:
        np.testing.assert_array_equal(values, plain)


def test_rank_and_the_evaluators_of_pairs_give_names(rerankers):
    plain, own = (model.rank(QUERIES[0], TEXTS) for model in rerankers)
    assert own == plain
    sample = [{"query": QUERIES[0], "positive": TEXTS[:1], "negative": TEXTS[1:]}]
    pairs = list(zip(QUERIES, TEXTS, strict=False))
    for make in (
        lambda: pair_evaluation.CrossEncoderRerankingEvaluator(sample, write_csv=False),
        lambda: pair_evaluation.CrossEncoderClassificationEvaluator(pairs, [0, 1, 1], write_csv=False),
        lambda: pair_evaluation.CrossEncoderCorrelationEvaluator(pairs, [0.1, 0.5, 1], write_csv=False),
    ):
        plain, own = (make()(model) for model in rerankers)
        assert own == plain
