"""What the recipes of rerankers share: an evaluator on a collection, and negatives that a retriever finds."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from datasets import Dataset

from stlib import SentenceTransformer
from stlib.base.evaluation.bm25 import BM25
from stlib.cross_encoder.evaluation import CrossEncoderRerankingEvaluator
from stlib.recipes._data import Collection, read_collection
from stlib.recipes._inputs import DEFAULT_MODEL, place
from stlib.recipes._numbers import number, positive
from stlib.util import mine_hard_negatives

__all__ = ["add_mining_options", "mine", "reranking_evaluator"]


def add_mining_options(made: ArgumentParser) -> None:
    """The options about data of a recipe that mines negatives."""
    made.add_argument("--train-split", default="train", help="judgments to train on (default: train)")
    made.add_argument("--eval-split", default="test", help="judgments to evaluate on (default: test)")
    made.add_argument("--depth", type=positive, default=100, help="documents to rerank (default: 100)")
    made.add_argument(
        "--retriever",
        type=place,
        default=DEFAULT_MODEL,
        help=f"bi-encoder that finds negatives (default: {DEFAULT_MODEL})",
    )
    made.add_argument("--negatives", type=positive, default=4, help="mined for each pair (default: 4)")
    made.add_argument(
        "--margin",
        type=number,
        default=0.05,
        help="a negative's similarity is below the answer's by this part (0.05)",
    )


def mine(collection: Collection, options: Any, output_format: str) -> Dataset:
    """Judged pairs with negatives out of the 50 documents that the retriever finds nearest to a question."""
    pairs = collection.pairs()
    return mine_hard_negatives(
        pairs.select(range(min(options.limit or len(pairs), len(pairs)))),
        SentenceTransformer(options.retriever),
        corpus=list(collection.corpus.values()),
        anchor_column_name="anchor",
        positive_column_name="positive",
        range_max=50,
        relative_margin=options.margin,
        num_negatives=options.negatives,
        output_format=output_format,
        verbose=False,
    )


def reranking_evaluator(
    source: str | None, *, split: str, depth: int, name: str = "reranking"
) -> CrossEncoderRerankingEvaluator | None:
    """NDCG@10 of re-ordering what BM25 finds, beside that of BM25's own order (``base_…``) of the same lists.

    Answers that BM25 does not find count for neither: no order of a list could show them. A question for
    which it finds none counts 0 for both.
    """
    if source is None:
        return None
    collection = read_collection(source, split)
    bm25 = BM25(collection.corpus)
    samples = []
    for query, text in collection.queries.items():
        found, relevant = bm25.search(text, depth), collection.relevant[query]
        documents = [collection.corpus[document] for document in found]
        answers = [collection.corpus[document] for document in found if document in relevant]
        samples.append({"query": text, "positive": answers, "documents": documents})
    return CrossEncoderRerankingEvaluator(samples, always_rerank_positives=False, name=name, write_csv=False)
