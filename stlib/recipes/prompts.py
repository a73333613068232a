"""Trains a retriever that is told what it reads: a prompt before questions and another before passages.

    python -m stlib.recipes.prompts --train FOLDER --eval FOLDER --output model

Data: folders in BEIR layout, or tables with anchor, positive. The prompts are saved with the model, so
``encode_query`` and ``encode_document`` put them in front by themselves. ``--exclude-prompt`` leaves their
tokens out of the mean, as INSTRUCTOR models do.
"""

from __future__ import annotations

from collections.abc import Sequence

from stlib import SentenceTransformer, SentenceTransformerTrainer, losses
from stlib.recipes._common import Outcome, parser, train_and_save, training_arguments
from stlib.recipes._data import read_pairs, retrieval_evaluator
from stlib.recipes._inputs import run


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(__doc__, train="BEIR folder or table with anchor, positive", evaluate="data as for --train")
    made.add_argument("--query-prompt", default="query: ", help='(default: "query: ")')
    made.add_argument("--document-prompt", default="document: ", help='(default: "document: ")')
    made.add_argument("--exclude-prompt", action="store_true", help="pool without the tokens of the prompt")
    options = made.parse_args(argv)

    model = SentenceTransformer(options.model)
    model.prompts = {"query": options.query_prompt, "document": options.document_prompt}
    if options.exclude_prompt:
        model.set_pooling_include_prompt(False)
    train = read_pairs(options.train, limit=options.limit)
    documents = [name for name in train.column_names if name != "anchor"]
    trainer = SentenceTransformerTrainer(
        model=model,
        args=training_arguments(
            options,
            batch_sampler="no_duplicates",
            prompts={"anchor": options.query_prompt, **dict.fromkeys(documents, options.document_prompt)},
        ),
        train_dataset=train,
        loss=losses.MultipleNegativesRankingLoss(model),
    )
    evaluator = retrieval_evaluator(
        options.eval, query_prompt=options.query_prompt, corpus_prompt=options.document_prompt
    )
    return train_and_save(trainer, evaluator, options)


if __name__ == "__main__":
    run(main)
