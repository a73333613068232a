"""RerankingEvaluator beside the reference."""

from __future__ import annotations

import csv
import itertools
import logging

import numpy as np
import pytest
import torch

import stlib
from stlib import util
from stlib.errors import InvalidInput, InvalidOption
from stlib.evaluation import RerankingEvaluator
from stlib.sentence_transformer.evaluation.reranking import rank_measures

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def theirs(reference):
    return pytest.importorskip("sentence_transformers.sentence_transformer.evaluation")


class Table:
    """A model whose vectors are drawn from the text; it remembers how it was asked."""

    def __init__(self, whole_numbers=False):
        self.whole_numbers = whole_numbers
        self.calls, self.cards = [], []
        self.model_card_data = self

    def set_evaluation_metrics(self, evaluator, metrics, epoch=0, step=0):
        self.cards.append((list(metrics), epoch, step))

    def vector(self, text):
        rng = np.random.default_rng(list(text.encode()))
        row = rng.integers(-1, 2, 3) if self.whole_numbers else rng.normal(size=8)
        return torch.tensor(row, dtype=torch.float32)

    def encode(self, sentences, kind="plain", truncate_dim=None, **kwargs):
        self.calls.append((kind, sentences, {"truncate_dim": truncate_dim, **kwargs}))
        return torch.stack([self.vector(text) for text in sentences])[:, :truncate_dim]

    def encode_query(self, sentences, **kwargs):
        return self.encode(sentences, kind="query", **kwargs)

    def encode_document(self, sentences, **kwargs):
        return self.encode(sentences, kind="document", **kwargs)


def make_samples(seed, n=25):
    rng = np.random.default_rng(seed)
    return [
        {
            "query": f"query {i}",
            "positive": [f"good {i} {j}" for j in range(rng.integers(1, 6))],
            "negative": [f"bad {i} {j}" for j in range(rng.integers(1, 40))],
        }
        for i in range(n)
    ]


def close(found, expected):
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, abs=1e-9)
    assert {type(value) for value in found.values()} == {float}


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"at_k": 3, "name": "dev"},
        {"at_k": 1},
        {"at_k": 1000},
        {"truncate_dim": 4, "batch_size": 7},
        {"mrr_at_k": 5},
    ],
    ids=str,
)
@pytest.mark.parametrize("whole_numbers", [False, True], ids=["distinct", "ties"])
def test_the_same_numbers(theirs, reference, options, batched, whole_numbers, tmp_path):
    results = []
    for module, library in ((RerankingEvaluator, util), (theirs.RerankingEvaluator, reference.util)):
        # Products of whole numbers are exact, so equal scores are equal in both. The reference takes them in
        # whatever order an unstable sort gives them, which shows in its MRR: see the next test.
        function = library.dot_score if whole_numbers else library.cos_sim
        evaluator = module(make_samples(0), similarity_fct=function, use_batched_encoding=batched, **options)
        model = Table(whole_numbers)
        folder = tmp_path / str(len(results))
        metrics = [evaluator(model, folder, *when) for when in ((-1, -1), (1, 20))]
        with (folder / evaluator.csv_file).open(newline="") as file:
            rows = list(csv.reader(file))
        results.append((metrics, rows, model.calls, model.cards, evaluator))
    (metrics, rows, calls, cards, ours), (wanted, their_rows, their_calls, their_cards, their) = results
    for found, expected in zip(metrics, wanted, strict=True):
        if whole_numbers:
            (mrr,) = (key for key in expected if "mrr" in key)
            expected = {**expected, mrr: found[mrr]}
        close(found, expected)
    assert calls == their_calls
    assert cards == their_cards
    assert ours.primary_metric == their.primary_metric
    assert ours.get_config_dict() == their.get_config_dict()
    assert rows[0] == their_rows[0] == ours.csv_headers == their.csv_headers
    columns = [0, 1, 2, 4] if whole_numbers else [0, 1, 2, 3, 4]
    found, expected = (np.array(table[1:], float)[:, columns] for table in (rows, their_rows))
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("at_k", [1, 2, 3, 10])
def test_reciprocal_rank_over_all_orders_of_equal_scores(at_k):
    rng = np.random.default_rng(0)
    for _ in range(20):
        n_positive, scores = int(rng.integers(1, 4)), rng.integers(0, 3, size=6).astype(float)
        ranks = []
        for order in itertools.permutations(range(6)):
            ranked = sorted(order, key=lambda i: -scores[i])
            rank = 1 + next(place for place, i in enumerate(ranked) if i < n_positive)
            ranks.append(1 / rank if rank <= at_k else 0.0)
        assert rank_measures(scores, n_positive, at_k)[1] == pytest.approx(np.mean(ranks), abs=1e-12)


@pytest.mark.parametrize("name", ["cos_sim", "dot_score", "euclidean_sim", "manhattan_sim"])
@pytest.mark.parametrize("batched", [True, False])
def test_similarities(theirs, reference, name, batched):
    options = {"use_batched_encoding": batched, "at_k": 4}
    ours = RerankingEvaluator(make_samples(1), similarity_fct=getattr(util, name), **options)
    their = theirs.RerankingEvaluator(
        make_samples(1), similarity_fct=getattr(reference.util, name), **options
    )
    close(ours(Table()), their(Table()))


def test_shapes_of_samples(theirs):
    samples = {
        "a": {"query": "one", "positive": "text", "negative": "other"},
        "b": {"query": "two", "positive": ["text", "more"], "negative": []},
        "c": {"query": "three", "positive": [], "negative": ["x"]},
        "d": {"query": "four", "positive": ["p"], "negative": ["n", "m"], "extra": 1},
    }
    for given in (samples, list(samples.values())):
        ours, their = (module(given) for module in (RerankingEvaluator, theirs.RerankingEvaluator))
        assert ours.samples == their.samples
        close(ours(Table()), their(Table()))


def test_documents_stand_for_negatives():
    given = [{"query": "q", "positive": ["a"], "documents": ["b", "a", "c"]}]
    same = [{"query": "q", "positive": ["a"], "negative": ["b", "c"]}]
    assert RerankingEvaluator(given)(Table()) == RerankingEvaluator(same)(Table())


def test_by_hand():
    vectors = {"q": [1.0, 0.0], "p1": [0.9, 0], "p2": [0.5, 0], "n1": [0.9, 0], "n2": [0.7, 0]}

    class Model(Table):
        def vector(self, text):
            return torch.tensor(vectors[text])

    sample = {"query": "q", "positive": ["p1", "p2"], "negative": ["n1", "n2"]}
    found = RerankingEvaluator([sample], similarity_fct=util.dot_score, at_k=2)(Model())
    # p1 and n1 share the first two places, p2 is last.
    assert found["map"] == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert found["mrr@2"] == (1 + 1 / 2) / 2
    assert found["ndcg@2"] == pytest.approx(0.5)


def test_a_real_model(theirs, reference, tiny_bert):
    results = []
    for library, module in ((stlib, RerankingEvaluator), (reference, theirs.RerankingEvaluator)):
        model = library.SentenceTransformer(tiny_bert, device="cpu", prompts={"query": "how "})
        for batched in (True, False):
            evaluator = module(make_samples(2, 6), use_batched_encoding=batched)
            results.append(evaluator(model))
    for found in results[1:]:
        assert found == pytest.approx(results[0], abs=1e-6)


def test_log(theirs, caplog):
    lines = []
    for module in (RerankingEvaluator, theirs.RerankingEvaluator):
        evaluator = module(make_samples(0), name="dev", truncate_dim=4)
        with caplog.at_level(logging.INFO):
            evaluator(Table(), None, 3)
        lines.append([record.getMessage() for record in caplog.records])
        caplog.clear()
    assert lines[0] == lines[1]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "none of the 0 samples"),
        ([{"query": "q", "positive": [], "negative": ["n"]}], "none of the 1 samples"),
        (
            [{"query": "q", "positive": ["p"]}],
            r"sample 0 lacks negative \(or documents\); it has query, positive",
        ),
        ([{"positive": ["p"], "negative": ["n"]}], "sample 0 lacks query"),
    ],
)
def test_refused(samples, message):
    with pytest.raises(InvalidInput, match=message):
        RerankingEvaluator(samples)


def test_wrong_cut_off_is_refused():
    with pytest.raises(InvalidOption, match="at_k is 0"):
        RerankingEvaluator(make_samples(0), at_k=0)


def test_a_diverged_model_finds_nothing(caplog):
    evaluator = RerankingEvaluator(make_samples(0), similarity_fct=lambda a, b: (b @ a) * torch.nan)
    assert evaluator(Table()) == {"map": 0.0, "mrr@10": 0.0, "ndcg@10": 0.0}
    assert caplog.text.count("not numbers") == 1


def test_documents_without_a_score_are_missed():
    # Relevant: a, b, c; b has no score, and neither has the document x. The order is a, y, c.
    scores = torch.tensor([5.0, torch.nan, 1.0, torch.nan, 3.0])
    sample = {"query": "q", "positive": ["a", "b", "c"], "negative": ["x", "y"]}
    found = RerankingEvaluator([sample], similarity_fct=lambda a, b: scores)(Table())
    gains = 1 / np.log2([2, 3, 4])
    assert found["map"] == pytest.approx((1 + 2 / 3) / 3)
    assert found["mrr@10"] == 1.0
    assert found["ndcg@10"] == pytest.approx((gains[0] + gains[2]) / gains.sum())
