"""Makes a smaller, faster reranker that scores pairs as a larger one (the teacher) does.

    python -m stlib.recipes.cross_encoder_distillation --train msmarco --eval msmarco --eval-split dev \\
        --teacher TEACHER --model microsoft/MiniLM-L12-H384-uncased --output reranker

Data: folders in BEIR layout (corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv), or tables with anchor,
positive; negatives are mined with a bi-encoder. ``margin_mse`` has the student copy how much better the
teacher finds the answer than the negative, ``mse`` its scores themselves; both are before any activation.
The figure is NDCG@10 of re-ordering what BM25 finds; ``base`` is that of BM25's own order
of the same lists. Answers that BM25 does not find count for neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datasets import Dataset
from torch import nn

from stlib import CrossEncoder
from stlib.cross_encoder.losses import MarginMSELoss, MSELoss
from stlib.cross_encoder.trainer import CrossEncoderTrainer
from stlib.cross_encoder.training_args import CrossEncoderTrainingArguments
from stlib.recipes._common import Outcome, arguments_of, parser, seed_everything, train_and_save
from stlib.recipes._data import read_collection
from stlib.recipes._inputs import place, run
from stlib.recipes._numbers import positive
from stlib.recipes._reranking import add_mining_options, mine, reranking_evaluator

LOSSES: dict[str, Any] = {"margin_mse": MarginMSELoss, "mse": MSELoss}


def main(argv: Sequence[str] | None = None) -> Outcome:
    made = parser(
        __doc__,
        train="BEIR folder or table with anchor, positive",
        evaluate="data as for --train",
        model="microsoft/MiniLM-L12-H384-uncased",
    )
    add_mining_options(made)
    made.add_argument(
        "--teacher", type=place, required=True, help="folder or hub id of the reranker to learn from"
    )
    made.add_argument("--loss", choices=sorted(LOSSES), default="margin_mse", help="(default: margin_mse)")
    made.add_argument("--max-length", type=positive, help="tokens of a pair (default: what the model takes)")
    options = made.parse_args(argv)

    teacher = CrossEncoder(options.teacher)
    seed_everything(options.seed)  # a model without a head gets a random one
    student = CrossEncoder(options.model, num_labels=1, max_length=options.max_length)
    triplets = mine(read_collection(options.train, options.train_split), options, "triplet")
    trainer = CrossEncoderTrainer(
        model=student,
        args=arguments_of(CrossEncoderTrainingArguments, options),
        train_dataset=label_triplets(triplets, teacher, options.loss, options.batch_size),
        loss=LOSSES[options.loss](student),
    )
    evaluator = reranking_evaluator(options.eval, split=options.eval_split, depth=options.depth)
    return train_and_save(trainer, evaluator, options)


def label_triplets(triplets: Dataset, teacher: Any, loss: str, batch_size: int = 32) -> Dataset:
    """The triplets with the teacher's margin as label; for ``mse`` each pair in them once with its score."""
    columns = [triplets[name][:] for name in ("anchor", "positive", "negative")]
    rows = list(zip(*columns, strict=True))
    pairs = list(dict.fromkeys(pair for a, p, n in rows for pair in ((a, p), (a, n))))
    scores = teacher.predict(pairs, batch_size=batch_size, activation_fn=nn.Identity()).tolist()
    score = dict(zip(pairs, scores, strict=True))
    if loss == "mse":
        anchors, passages = zip(*pairs, strict=True)
        return Dataset.from_dict({"anchor": anchors, "passage": passages, "label": scores})
    return triplets.add_column("label", [score[a, p] - score[a, n] for a, p, n in rows])


if __name__ == "__main__":
    run(main)
