"""Metrics equal trec_eval's, and are what a hand computes."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from indexing.errors import BadInput, BadLine
from indexing.evaluation import METRICS, evaluate_rankings, query_metrics, read_beir
from stlib.util import ranking_metrics


def test_by_hand():
    metrics = query_metrics(["x", "b", "a"], {"a": 2, "b": 1, "c": 0, "d": 1})
    ideal = 2 + 1 / math.log2(3) + 1 / math.log2(4)
    assert metrics["NDCG@10"] == pytest.approx((1 / math.log2(3) + 2 / math.log2(4)) / ideal)
    assert metrics["MRR@10"] == 0.5
    assert metrics["MAP@100"] == pytest.approx((1 / 2 + 2 / 3) / 3)
    assert (metrics["Recall@1"], metrics["Recall@10"], metrics["Precision@10"]) == (
        0.0,
        pytest.approx(2 / 3),
        0.2,
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the reference uses what Python 3.14 drops
def test_equal_to_trec_eval():
    measures = pytest.importorskip("ir_measures", reason="pip install ir-measures")
    names = dict(zip(METRICS, ["nDCG@10", "RR@10", "AP@100", "R@1", "R@10", "R@100", "P@10"], strict=True))
    rng = random.Random(7)
    rankings, qrels = {}, {}
    for q in range(60):
        documents = [f"d{i}" for i in range(150)]
        rng.shuffle(documents)
        rankings[f"q{q}"] = documents[: rng.choice([0, 1, 5, 100, 150])]
        qrels[f"q{q}"] = {f"d{i}": rng.choice([0, 0, 1, 1, 2, 3]) for i in rng.sample(range(200), 20)} | {
            "d1": 1
        }
    run = {q: {d: float(-rank) for rank, d in enumerate(r)} for q, r in rankings.items()}
    expected = measures.calc_aggregate([measures.parse_measure(m) for m in names.values()], qrels, run)
    report = evaluate_rankings(lambda q: rankings[q], {q: q for q in rankings}, qrels)
    assert report.queries == 60
    for ours, theirs in names.items():
        assert report.metrics[ours] == pytest.approx(expected[measures.parse_measure(theirs)], abs=1e-9), ours


def test_queries_without_relevant_documents_are_left_out():
    report = evaluate_rankings(lambda q: ["a"], {"1": "x", "2": "y"}, {"1": {"a": 1}, "2": {"a": 0}})
    assert (report.queries, report.metrics["NDCG@10"]) == (1, 1.0)
    with pytest.raises(BadInput, match="no query has a document judged relevant"):
        evaluate_rankings(lambda q: [], {"1": "x"}, {"1": {"a": 0}})


def test_beir_folder(tmp_path):
    (tmp_path / "qrels").mkdir()
    (tmp_path / "queries.jsonl").write_text('{"_id": "1", "text": "line\u2028separator"}\n', "utf-8")
    (tmp_path / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\n1\td\t2\n")
    beir = read_beir(tmp_path, "dev")
    assert (beir.queries, beir.qrels) == ({"1": "line\u2028separator"}, {"1": {"d": 2}})
    with pytest.raises(BadInput, match="no judgments for split 'test'; there are: dev"):
        read_beir(tmp_path)
    (tmp_path / "queries.jsonl").write_bytes(
        b'\xef\xbb\xbf{"_id": "1", "text": "x"}\n{"_id": "2", "text": "caf\xe9"}\n'
    )
    with pytest.raises(BadLine, match=r"queries\.jsonl, line 2: not UTF-8"):
        read_beir(tmp_path, "dev")
    (tmp_path / "queries.jsonl").write_text('{"_id": "1", "text": "x"}\n')
    (tmp_path / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\n1 d 2\n")
    with pytest.raises(BadLine, match=r"dev\.tsv, line 2: expected query-id, corpus-id"):
        read_beir(tmp_path, "dev")


def test_both_denominators_of_average_precision():
    """Three relevant documents, two places, relevant ones at both: 1 + 2/2, over 3 or over 2."""
    gains, relevant = np.array([[1.0, 2.0, 0.0]]), np.array([3])
    assert ranking_metrics.average_precision_at_k(gains, relevant, 2, "relevant").tolist() == [2 / 3]
    assert ranking_metrics.average_precision_at_k(gains, relevant, 2, "reachable").tolist() == [1.0]


def test_more_relevant_documents_than_places_count_in_full():
    """trec_eval's map_cut: the best ranking of 200 relevant documents has 100 of them among the first 100."""
    judged = {f"d{i}": 1 for i in range(200)}
    assert query_metrics(sorted(judged), judged)["MAP@100"] == 0.5
