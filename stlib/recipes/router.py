"""Trains a model with two ways in: a very fast one for questions, a transformer for documents.

    python -m stlib.recipes.router --model FOLDER --train FOLDER --eval FOLDER --freeze-documents \\
        --output model

Data: folders in BEIR layout, or tables with anchor, positive[, negative]. Questions are embedded by a
static table that starts random and learns fast (``--query-rate``), documents by the model with an ordinary
learning rate, or not trained at all with ``--freeze-documents``: an index of documents then stays valid.
Answering a question runs no transformer any more.
"""

from __future__ import annotations

from collections.abc import Sequence

from stlib import SentenceTransformer, SentenceTransformerTrainer, losses
from stlib.models import Router, StaticEmbedding
from stlib.recipes._common import Outcome, parser, seed_everything, train_and_save, training_arguments
from stlib.recipes._data import read_pairs, retrieval_evaluator
from stlib.recipes._inputs import run
from stlib.recipes._numbers import positive_number


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(__doc__, train="BEIR folder or table with anchor, positive", evaluate="data as for --train")
    made.add_argument(
        "--query-rate", type=positive_number, default=1e-2, help="learning rate of questions (default: 1e-2)"
    )
    made.add_argument("--freeze-documents", action="store_true", help="train the route of questions alone")
    options = made.parse_args(argv)

    seed_everything(options.seed)
    documents = SentenceTransformer(options.model)
    if options.freeze_documents:
        documents.requires_grad_(False)
    questions = StaticEmbedding(documents.tokenizer, embedding_dim=documents.get_embedding_dimension())
    router = Router.for_query_document(query_modules=[questions], document_modules=list(documents.children()))
    model = SentenceTransformer(modules=[router])
    train = read_pairs(options.train, limit=options.limit)
    routes = {name: "query" if name == "anchor" else "document" for name in train.column_names}
    trainer = SentenceTransformerTrainer(
        model=model,
        args=training_arguments(
            options,
            batch_sampler="no_duplicates",
            router_mapping=routes,
            learning_rate_mapping={r"sub_modules\.query\.": options.query_rate},
        ),
        train_dataset=train,
        loss=losses.MultipleNegativesRankingLoss(model),
    )
    return train_and_save(trainer, retrieval_evaluator(options.eval), options)


if __name__ == "__main__":
    run(main)
