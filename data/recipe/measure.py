"""Retrieval and similarity measures used to choose among runs and to report the result."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Encode = Callable[[Sequence[str]], NDArray[np.float32]]


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to unit length; zero rows stay zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def read_beir(folder: Path, split: str) -> tuple[dict[str, str], dict[str, str], dict[str, dict[str, int]]]:
    """Corpus (title and text joined), judged queries and judgments of a folder in BEIR layout."""
    corpus = {row["_id"]: _document(row) for row in _json_lines(folder / "corpus.jsonl")}
    judgments: dict[str, dict[str, int]] = {}
    with (folder / "qrels" / f"{split}.tsv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            judgments.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    queries = {row["_id"]: row["text"] for row in _json_lines(folder / "queries.jsonl")}
    return corpus, {key: queries[key] for key in judgments}, judgments


def ndcg10(encode: Encode, folder: Path, split: str) -> float:
    """Mean NDCG@10 (linear gain, as trec_eval) of exact cosine search."""
    corpus, queries, judgments = read_beir(folder, split)
    ids = np.array(list(corpus))
    documents = unit(encode(list(corpus.values())))
    scores = unit(encode(list(queries.values()))) @ documents.T
    values = []
    for row, key in zip(scores, queries, strict=True):
        ranked = ids[np.argsort(-row, kind="stable")[:10]]
        gains = [max(0, judgments[key].get(identifier, 0)) for identifier in ranked]
        ideal = sorted((gain for gain in judgments[key].values() if gain > 0), reverse=True)[:10]
        if ideal:
            values.append(_dcg(gains) / _dcg(ideal))
    return float(np.mean(values))


def pair_mrr(encode: Encode, queries: Sequence[str], texts: Sequence[str]) -> float:
    """Mean reciprocal rank of each query's own text among all ``texts``."""
    scores = unit(encode(queries)) @ unit(encode(texts)).T
    own = np.diagonal(scores)[:, None]
    return float(np.mean(1 / (1 + (scores > own).sum(1))))


def sts_spearman(encode: Encode, path: Path) -> float:
    """Spearman correlation of cosine and human similarity on an STS benchmark file."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    gold = np.array([float(row[4]) for row in rows])
    left, right = (unit(encode([row[column] for row in rows])) for column in (5, 6))
    return float(np.corrcoef(_ranks(gold), _ranks((left * right).sum(1)))[0, 1])


def _ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # ties share their mean rank


def _dcg(gains: Sequence[int]) -> float:
    return float(sum(gain / np.log2(rank + 2) for rank, gain in enumerate(gains)))


def _document(row: dict[str, str]) -> str:
    return f"{row.get('title', '')} {row['text']}".strip()


def _json_lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
