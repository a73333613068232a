"""Trains a sparse model whose questions need no network: the weight of each of their words is looked up.

    python -m stlib.recipes.inference_free --model FOLDER --train msmarco --eval msmarco --output model

Data: folders in BEIR layout, or tables with anchor, positive[, negative]. Passages go through a model with a
masked-language head, which weighs their words and adds others; questions through a table that starts at the
words' inverse document frequencies in the passages and learns with a rate of its own (``--query-rate``), or
stays as it starts with ``--freeze-queries``. Only passages are penalised: the words of a question are given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from stlib import SparseEncoder
from stlib.recipes._common import Outcome, parser
from stlib.recipes._data import read_pairs
from stlib.recipes._inputs import run
from stlib.recipes._numbers import positive_number
from stlib.recipes._sparse import add_penalty_options, penalised, train_sparse
from stlib.sparse_encoder.losses import SparseMultipleNegativesRankingLoss
from stlib.sparse_encoder.modules import Router, SparseStaticEmbedding, SpladePooling, Transformer


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(
        __doc__,
        train="BEIR folder or table with anchor, positive[, negative]",
        evaluate="data as for --train",
        model="distilbert/distilbert-base-uncased",
    )
    made.add_argument(
        "--query-rate", type=positive_number, default=1e-3, help="learning rate of the table (default: 1e-3)"
    )
    made.add_argument("--freeze-queries", action="store_true", help="leave the table as it starts")
    add_penalty_options(made, queries=False)
    options = made.parse_args(argv)

    train = read_pairs(options.train, limit=options.limit)
    passages = dict.fromkeys(text for name in train.column_names if name != "anchor" for text in train[name])
    model = make_model(options.model, passages, options.freeze_queries)
    loss = penalised(model, SparseMultipleNegativesRankingLoss(model), options)
    rates = {} if options.freeze_queries else {"SparseStaticEmbedding": options.query_rate}
    return train_sparse(
        model,
        loss,
        train,
        options,
        router_mapping={name: "query" if name == "anchor" else "document" for name in train.column_names},
        learning_rate_mapping=rates,
    )


def make_model(name: str, passages: Iterable[str], freeze_queries: bool) -> SparseEncoder:
    """A model with both routes; the logarithm of passages' weights is taken twice, as queries have none."""
    documents = Transformer(name, transformer_task="fill-mask")
    weights = inverse_document_frequencies(documents.tokenizer, passages)
    table = SparseStaticEmbedding(documents.tokenizer, weights, frozen=freeze_queries)
    pooling = SpladePooling("max", activation_function="log1p_relu")
    router = Router.for_query_document(query_modules=[table], document_modules=[documents, pooling])
    return SparseEncoder(modules=[router], similarity_fn_name="dot")


def inverse_document_frequencies(tokenizer: Any, texts: Iterable[str]) -> torch.Tensor:
    """``ln(1 + (n - df + ½) / (df + ½))`` of each token of the vocabulary, as BM25 has it."""
    counts: Counter[int] = Counter()
    n = 0
    for text in texts:
        counts.update(set(tokenizer(text, add_special_tokens=False, truncation=True)["input_ids"]))
        n += 1
    found = torch.zeros(len(tokenizer.get_vocab()))
    for token, count in counts.items():
        found[token] = count
    return torch.log1p((n - found + 0.5) / (found + 0.5))


if __name__ == "__main__":
    run(main)
