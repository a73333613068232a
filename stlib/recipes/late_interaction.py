"""Trains a late-interaction model: a vector for each token, each of the question's looking for its match.

    python -m stlib.recipes.late_interaction --model FOLDER --dimension 64 --train msmarco \\
        --eval msmarco --output model --onnx

Data: folders in BEIR layout (corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv), or tables with anchor,
positive. Negatives are passages that a bi-encoder (``--retriever``) finds near a question and that are not
judged to answer it. ``--dimension`` starts a new projection of each token's vector and leaves punctuation
out of passages; without it a late-interaction model is trained further. ``--fill`` fills up questions with
mask tokens as ColBERT does, which helps after long training and costs much after a short one.
With ``--teacher``, a reranker, the model learns the teacher's scores of answer and negatives; without, to
tell the answer from all passages of the batch. ``--onnx`` also writes the file that ``TokenRuntimeEncoder``
of ``stlib.runtime.token_encoder`` runs without torch.
"""

from __future__ import annotations

import argparse
import string
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn

from stlib import MultiVectorEncoder
from stlib.base.modules.dense import Dense
from stlib.base.modules.normalize import Normalize
from stlib.multi_vector_encoder.evaluation import MultiVectorInformationRetrievalEvaluator
from stlib.multi_vector_encoder.losses import (
    CachedMultiVectorMultipleNegativesRankingLoss,
    MultiVectorDistillKLDivLoss,
)
from stlib.multi_vector_encoder.modules import MultiVectorMask
from stlib.multi_vector_encoder.trainer import MultiVectorEncoderTrainer
from stlib.multi_vector_encoder.training_args import MultiVectorEncoderTrainingArguments
from stlib.recipes._common import Outcome, arguments_of, parser, seed_everything, train_and_save
from stlib.recipes._data import read_collection
from stlib.recipes._inputs import place, run
from stlib.recipes._labels import read_teacher, with_scores
from stlib.recipes._numbers import positive, positive_number
from stlib.recipes._reranking import add_mining_options, mine

_TOKENS = "token_embeddings"


def main(argv: Sequence[str] | None = None, teacher: Any = None) -> Outcome:
    options = read_options(argv)
    seed_everything(options.seed)  # a new projection is random
    model = make_model(options)
    collection = read_collection(options.train, options.train_split)
    train = mine(collection, options, "n-tuple")
    loss: nn.Module
    if teacher or options.teacher:
        train = with_scores(train, teacher or read_teacher(options.teacher), options.batch_size)
        loss = MultiVectorDistillKLDivLoss(model, teacher_temperature=options.teacher_temperature)
    else:
        loss = CachedMultiVectorMultipleNegativesRankingLoss(model, mini_batch_size=options.mini_batch_size)
    trainer = MultiVectorEncoderTrainer(
        model=model,
        args=arguments_of(MultiVectorEncoderTrainingArguments, options, batch_sampler="no_duplicates"),
        train_dataset=train,
        loss=loss,
    )
    evaluator = None
    if options.eval:
        judged = read_collection(options.eval, options.eval_split)
        evaluator = MultiVectorInformationRetrievalEvaluator(*judged, name="retrieval", write_csv=False)
    outcome = train_and_save(trainer, evaluator, options)
    if options.onnx:
        write_onnx(options.output)
    return outcome


def read_options(argv: Sequence[str] | None) -> argparse.Namespace:
    made = parser(
        __doc__,
        train="BEIR folder or table with anchor, positive",
        evaluate="data as for --train",
        learning_rate=5e-5,
    )
    add_mining_options(made)
    made.add_argument("--dimension", type=positive, help="start a new projection to so many dimensions")
    made.add_argument(
        "--query-length", type=positive, default=32, help="with --dimension: tokens of a question (32)"
    )
    made.add_argument(
        "--document-length", type=positive, default=180, help="likewise: tokens of a passage (180)"
    )
    made.add_argument("--fill", action="store_true", help="likewise: fill up every question to that length")
    made.add_argument("--teacher", type=place, help="folder or hub id of a reranker to learn from")
    made.add_argument(
        "--teacher-temperature", type=positive_number, default=1.0, help="its scores are divided by (1.0)"
    )
    made.add_argument(
        "--mini-batch-size", type=positive, default=32, help="embedded at a time without a teacher (32)"
    )
    made.add_argument("--onnx", action="store_true", help="also write what runs without torch")
    return made.parse_args(argv)


def make_model(options: argparse.Namespace) -> MultiVectorEncoder:
    """The model as it is, or its transformer with a new projection."""
    model = MultiVectorEncoder(options.model)
    if options.dimension is None:
        return model
    transformer: Any = model[0]
    transformer.document_length = options.document_length
    transformer.query_length = options.query_length
    if options.fill:
        transformer.query_expansion = {"strategy": "fixed", "length": options.query_length}
    projection = Dense(
        transformer.get_embedding_dimension(),
        options.dimension,
        bias=False,
        activation_function=nn.Identity(),
        module_input_name=_TOKENS,
    )
    mask = MultiVectorMask(list(string.punctuation))
    return MultiVectorEncoder(modules=[transformer, projection, mask, Normalize(_TOKENS)])


def write_onnx(folder: str) -> None:
    """Write ``onnx/model.onnx`` beside the weights of the model in ``folder``."""
    exported = MultiVectorEncoder(folder, backend="onnx")
    with TemporaryDirectory(dir=Path(folder).parent) as made:
        exported.save_pretrained(made)
        (Path(made) / "onnx").replace(Path(folder) / "onnx")


if __name__ == "__main__":
    run(main)
