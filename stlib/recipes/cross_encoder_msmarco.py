"""Trains a reranker on questions and the passages that answer them, with hard negatives it mines itself.

    python -m stlib.recipes.cross_encoder_msmarco --train msmarco --eval msmarco --eval-split dev \\
        --model microsoft/MiniLM-L12-H384-uncased --output reranker

Data: folders in BEIR layout (corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv), or tables with anchor,
positive. Negatives are passages that a bi-encoder finds near a question and that are not judged to answer
it. The figure is NDCG@10 of re-ordering what BM25 finds; ``base`` is that of BM25's own order
of the same lists. Answers that BM25 does not find count for neither.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from stlib import CrossEncoder
from stlib.cross_encoder.losses import BinaryCrossEntropyLoss
from stlib.cross_encoder.trainer import CrossEncoderTrainer
from stlib.cross_encoder.training_args import CrossEncoderTrainingArguments
from stlib.recipes._common import Outcome, arguments_of, parser, seed_everything, train_and_save
from stlib.recipes._data import read_collection
from stlib.recipes._inputs import run
from stlib.recipes._numbers import positive
from stlib.recipes._reranking import add_mining_options, mine, reranking_evaluator


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(
        __doc__,
        train="BEIR folder or table with anchor, positive",
        evaluate="data as for --train",
        model="microsoft/MiniLM-L12-H384-uncased",
    )
    add_mining_options(made)
    made.add_argument("--max-length", type=positive, help="tokens of a pair (default: what the model takes)")
    options = made.parse_args(argv)

    seed_everything(options.seed)  # a model without a head gets a random one
    model = CrossEncoder(options.model, num_labels=1, max_length=options.max_length)
    train = mine(read_collection(options.train, options.train_split), options, "labeled-pair")
    positives = max(1, sum(train["label"][:]))
    trainer = CrossEncoderTrainer(
        model=model,
        args=arguments_of(CrossEncoderTrainingArguments, options),
        train_dataset=train,
        # Answers and negatives weigh the same, however many were found.
        loss=BinaryCrossEntropyLoss(model, pos_weight=torch.tensor((len(train) - positives) / positives)),
    )
    evaluator = reranking_evaluator(options.eval, split=options.eval_split, depth=options.depth)
    return train_and_save(trainer, evaluator, options)


if __name__ == "__main__":
    run(main)
