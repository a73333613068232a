"""Measures of rankings beside trec_eval, through pytrec_eval and ir_measures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stlib.evaluation import InformationRetrievalEvaluator
from stlib.util import dot_score, ranking_metrics

pytestmark = pytest.mark.parity

pytrec_eval = pytest.importorskip("pytrec_eval")
ir_measures = pytest.importorskip("ir_measures")

KS = [1, 3, 5, 10, 100]


class Table:
    """Vectors by text, compared by dot product."""

    similarity_fn_name = "dot"
    similarity = staticmethod(dot_score)

    def __init__(self, vectors):
        self.vectors = vectors

    def encode_query(self, sentences, **kwargs):
        return torch.stack([self.vectors[text] for text in sentences])

    encode_document = encode_query


def task(seed, ties, grades, n_queries=15, n_documents=130):
    """Judgments of a part of the documents, some of them not in the corpus, and vectors."""
    rng = np.random.default_rng(seed)
    queries = {f"q{i}": f"q{i}" for i in range(n_queries)}
    corpus = {f"d{i}": f"d{i}" for i in rng.permutation(n_documents)}
    judged = [*corpus, "missing1", "missing2"]
    relevant = {}
    for qid in queries:
        found = rng.choice(judged, size=int(rng.integers(1, 40)), replace=False)
        relevant[qid] = {cid: int(rng.integers(0, 4)) if grades else 1 for cid in found.tolist()}
        relevant[qid][judged[0]] = 1
    rows = rng.integers(-1, 2, (200, 3)) if ties else rng.normal(size=(200, 8))
    texts = [*queries, *corpus]
    return queries, corpus, relevant, dict(zip(texts, torch.tensor(rows, dtype=torch.float32), strict=False))


def evaluate(queries, corpus, relevant, vectors):
    """Our metrics and rankings ``{query: [document, …]}``."""
    options = dict.fromkeys(
        ("mrr_at_k", "ndcg_at_k", "accuracy_at_k", "precision_recall_at_k", "map_at_k"), KS
    )
    kept = []

    class Evaluator(InformationRetrievalEvaluator):
        def compute_metrics(self, queries_result_list):
            kept.extend(queries_result_list)
            return super().compute_metrics(queries_result_list)

    evaluator = Evaluator(queries, corpus, relevant, corpus_chunk_size=33, **options)
    metrics = {name.removeprefix("dot_"): v for name, v in evaluator(Table(vectors)).items()}
    return metrics, {
        q: [hit["corpus_id"] for hit in hits] for q, hits in zip(evaluator.queries_ids, kept, strict=True)
    }


def distinct(rankings):
    return {q: {d: float(-place) for place, d in enumerate(ids)} for q, ids in rankings.items()}


def average_precision_of(relevant, run, k):
    """trec_eval's map_cut, times R / min(k, R): our definition divides by what can be found among k."""
    measured = pytrec_eval.RelevanceEvaluator(relevant, {f"map_cut.{k}"}).evaluate(run)
    counts = {q: sum(grade > 0 for grade in judged.values()) for q, judged in relevant.items()}
    return np.mean([v[f"map_cut_{k}"] * counts[q] / min(k, counts[q]) for q, v in measured.items()])


@pytest.mark.parametrize("grades", [False, True], ids=["binary", "graded"])
@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "ties"])
@pytest.mark.parametrize("seed", range(3))
def test_rankings_measured_by_trec_eval(seed, ties, grades):
    queries, corpus, relevant, vectors = task(seed, ties, grades)
    metrics, rankings = evaluate(queries, corpus, relevant, vectors)
    run = distinct(rankings)
    cut = ",".join(map(str, KS))
    names = {"P": "precision", "recall": "recall", "success": "accuracy", "ndcg_cut": "ndcg"}
    measured = pytrec_eval.RelevanceEvaluator(relevant, {f"{name}.{cut}" for name in names}).evaluate(run)
    for name, ours in names.items():
        for k in KS:
            expected = np.mean([values[f"{name}_{k}"] for values in measured.values()])
            assert metrics[f"{ours}@{k}"] == pytest.approx(expected, abs=1e-6), (ours, k)
    for k in KS:
        first = {q: dict(list(scores.items())[:k]) for q, scores in run.items()}
        ranks = pytrec_eval.RelevanceEvaluator(relevant, {"recip_rank"}).evaluate(first)
        expected = np.mean([values["recip_rank"] for values in ranks.values()])
        assert metrics[f"mrr@{k}"] == pytest.approx(expected, abs=1e-6)
        assert metrics[f"map@{k}"] == pytest.approx(average_precision_of(relevant, run, k), abs=1e-6)


@pytest.mark.parametrize("grades", [False, True], ids=["binary", "graded"])
def test_rankings_measured_by_ir_measures(grades):
    queries, corpus, relevant, vectors = task(7, True, grades)
    metrics, rankings = evaluate(queries, corpus, relevant, vectors)
    for k in KS:
        wanted = [
            ir_measures.nDCG @ k,
            ir_measures.RR @ k,
            ir_measures.P @ k,
            ir_measures.R @ k,
            ir_measures.Success @ k,
        ]
        expected = ir_measures.calc_aggregate(wanted, relevant, distinct(rankings))
        names = ["ndcg", "mrr", "precision", "recall", "accuracy"]
        for measure, name in zip(wanted, names, strict=True):
            assert metrics[f"{name}@{k}"] == pytest.approx(expected[measure], abs=1e-6), (name, k)


def test_map_equals_map_cut_where_k_documents_can_hold_all():
    queries, corpus, relevant, vectors = task(1, False, False)
    metrics, rankings = evaluate(queries, corpus, relevant, vectors)
    expected = ir_measures.calc_aggregate([ir_measures.AP @ 100], relevant, distinct(rankings))
    assert metrics["map@100"] == pytest.approx(expected[ir_measures.AP @ 100], abs=1e-6)


def test_equal_scores_in_the_order_of_trec_eval():
    """trec_eval puts the larger id first. With ids in reversed order, both rank the same."""
    queries, corpus, relevant, vectors = task(2, True, False)
    in_order = sorted([*corpus, "missing1", "missing2"])
    reversed_id = dict(zip(in_order, in_order[::-1], strict=True))
    metrics, _ = evaluate(queries, corpus, relevant, vectors)
    run = {q: {reversed_id[d]: float(vectors[q] @ vectors[d]) for d in corpus} for q in queries}
    judgments = {q: {reversed_id[d]: grade for d, grade in judged.items()} for q, judged in relevant.items()}
    measured = pytrec_eval.RelevanceEvaluator(judgments, {"ndcg_cut.10", "P.1,5"}).evaluate(run)
    for theirs, ours in (("ndcg_cut_10", "ndcg@10"), ("P_1", "precision@1"), ("P_5", "precision@5")):
        assert metrics[ours] == pytest.approx(np.mean([v[theirs] for v in measured.values()]), abs=1e-6)


def test_queries_without_results_or_judgments():
    gains = ranking_metrics.pad([[], [0, 1.0], [1.0]])
    n_relevant = np.array([2, 1, 3])
    assert ranking_metrics.precision_at_k(gains, 2).tolist() == [0, 0.5, 0.5]
    assert ranking_metrics.recall_at_k(gains, n_relevant, 2).tolist() == [0, 1, 1 / 3]
    assert ranking_metrics.mrr_at_k(gains, 1).tolist() == [0, 0, 1]
    assert ranking_metrics.mrr_at_k(np.zeros((2, 0)), 5).tolist() == [0, 0]
    assert ranking_metrics.ndcg_at_k(gains, np.zeros((3, 0)), 5).tolist() == [0, 0, 0]


@pytest.mark.parametrize("seed", range(50))
def test_scores_with_ties_beside_scikit_learn(seed):
    measures = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(2, 30)), int(rng.integers(1, 40))
    scores = rng.integers(0, rng.integers(1, 20), n).astype(float)
    relevant = np.append(1, rng.integers(0, 2, n - 1))
    expected = measures.average_precision_score(relevant, scores)
    assert ranking_metrics.average_precision(relevant, scores) == pytest.approx(expected, abs=1e-12)
    gains = relevant * rng.integers(1, 4, n).astype(float)
    expected = measures.ndcg_score([gains], [scores], k=k)
    assert ranking_metrics.tied_ndcg_at_k(gains, scores, k) == pytest.approx(expected, abs=1e-12)
