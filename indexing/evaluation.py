"""IR metrics of a ranking, with trec_eval's definitions (its ndcg_cut, recip_rank, map_cut, recall, P).

Gains are the judged grades themselves (linear), discounts log2(rank + 1), as in Järvelin and Kekäläinen,
"Cumulated Gain-based Evaluation of IR Techniques" (ACM TOIS 2002). Unjudged documents are not relevant; a
query without a relevant document is left out of the mean.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from indexing.errors import BadInput, BadLine
from stlib.util import ranking_metrics

__all__ = [
    "DEPTH",
    "METRICS",
    "BeirQueries",
    "EvaluationReport",
    "beir_files",
    "evaluate_rankings",
    "query_metrics",
    "read_beir",
]

DEPTH = 100
METRICS = ("NDCG@10", "MRR@10", "MAP@100", "Recall@1", "Recall@10", "Recall@100", "Precision@10")

Queries = Mapping[str, str]
Qrels = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class EvaluationReport:
    """`metrics` averaged over `queries` queries; `per_query` query id → metric → value.

    `rerank` names the reranker whose order was measured, if any; it read the best `rerank_depth`.
    """

    mode: str
    queries: int
    metrics: dict[str, float]
    per_query: dict[str, dict[str, float]] = field(default_factory=dict)
    missing_documents: int = 0
    seconds: float = 0.0
    rerank: str | None = None
    rerank_depth: int | None = None

    def to_dict(self) -> dict[str, object]:
        return {
            "mode": self.mode,
            "queries": self.queries,
            "rerank": self.rerank,
            "rerank_depth": self.rerank_depth,
            "missing_documents": self.missing_documents,
            "seconds": self.seconds,
            "metrics": self.metrics,
        }


def query_metrics(ranking: Sequence[str], judged: Mapping[str, int]) -> dict[str, float]:
    """METRICS of one ranking of document ids, best first; `judged` must hold a grade above 0."""
    gains = np.array([[max(judged.get(id_, 0), 0) for id_ in ranking[:DEPTH]]], dtype=np.float64)
    ideal = np.array([sorted((g for g in judged.values() if g > 0), reverse=True)], dtype=np.float64)
    relevant = np.array([ideal.shape[1]])
    measured = {
        "NDCG@10": ranking_metrics.ndcg_at_k(gains, ideal, 10),
        "MRR@10": ranking_metrics.mrr_at_k(gains, 10),
        "MAP@100": ranking_metrics.average_precision_at_k(gains, relevant, DEPTH, "relevant"),
        "Recall@1": ranking_metrics.recall_at_k(gains, relevant, 1),
        "Recall@10": ranking_metrics.recall_at_k(gains, relevant, 10),
        "Recall@100": ranking_metrics.recall_at_k(gains, relevant, DEPTH),
        "Precision@10": ranking_metrics.precision_at_k(gains, 10),
    }
    return {name: float(values[0]) for name, values in measured.items()}


def evaluate_rankings(
    search: Callable[[str], Sequence[str]], queries: Queries, qrels: Qrels, mode: str = ""
) -> EvaluationReport:
    """Runs every judged query through `search`, which returns document ids best first.

    Raises:
        BadInput: no query has a relevant document.
    """
    per_query = {}
    for query_id, judged in qrels.items():
        if query_id in queries and any(grade > 0 for grade in judged.values()):
            per_query[query_id] = query_metrics(search(queries[query_id]), judged)
    if not per_query:
        raise BadInput("nothing to evaluate: no query has a document judged relevant")
    means = {name: sum(m[name] for m in per_query.values()) / len(per_query) for name in METRICS}
    return EvaluationReport(mode, len(per_query), means, per_query)


@dataclass(frozen=True)
class BeirQueries:
    """Queries id → text and judgments query id → document id → grade."""

    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]


def read_beir(folder: Path, split: str = "test", *, queries: dict[str, str] | None = None) -> BeirQueries:
    """`queries.jsonl` and `qrels/<split>.tsv` of a BEIR folder. `queries` are those of another split, where
    they were read before.

    Raises:
        BadInput: a file is missing (the message lists the splits that exist).
        BadLine: a line cannot be read.
    """
    questions, judgments = beir_files(folder, split)
    return BeirQueries(_read_queries(questions) if queries is None else queries, _read_qrels(judgments))


def beir_files(folder: Path, split: str) -> tuple[Path, Path]:
    """`queries.jsonl` and `qrels/<split>.tsv` of a BEIR folder.

    Raises:
        BadInput: a file is missing (the message lists the splits that exist).
    """
    judgments = folder / "qrels" / f"{split}.tsv"
    questions = folder / "queries.jsonl"
    if not questions.is_file():
        raise BadInput(
            f"{folder}: no queries.jsonl; give a folder in BEIR layout (corpus.jsonl, queries.jsonl, qrels/)"
        )
    if not judgments.is_file():
        splits = ", ".join(sorted(path.stem for path in (folder / "qrels").glob("*.tsv"))) or "none"
        raise BadInput(f"{folder}: no judgments for split {split!r}; there are: {splits}")
    return questions, judgments


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines, ended by a line feed only: JSON strings may hold other separators."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise BadLine(str(path), number, f"not UTF-8 ({error.reason}); convert the file") from error


def _read_queries(path: Path) -> dict[str, str]:
    queries = {}
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            queries[str(row["_id"])] = str(row["text"])
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise BadLine(str(path), number, f"expected an object with _id and text ({error})") from error
    return queries


def _read_qrels(path: Path) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    for number, line in _lines(path):
        parts = line.split("\t")
        if not line.strip() or (number == 1 and parts[0] == "query-id"):
            continue
        try:
            query_id, document_id, grade = parts
            qrels.setdefault(query_id, {})[document_id] = int(grade)
        except ValueError as error:
            raise BadLine(
                str(path), number, "expected query-id, corpus-id and a whole-number score, tab-separated"
            ) from error
    return qrels
