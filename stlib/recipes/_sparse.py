"""What recipes of sparse models share: penalties, the trainer, an evaluator that counts dimensions, too."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from datasets import Dataset
from torch import nn

from stlib import SparseEncoder, SparseEncoderTrainer, SparseEncoderTrainingArguments
from stlib.recipes._common import Outcome, arguments_of, train_and_save
from stlib.recipes._data import read_collection
from stlib.recipes._numbers import positive, positive_number
from stlib.sparse_encoder.callbacks import SpladeRegularizerWeightSchedulerCallback
from stlib.sparse_encoder.evaluation import SparseInformationRetrievalEvaluator
from stlib.sparse_encoder.losses import CachedSpladeLoss, SpladeLoss

__all__ = ["add_penalty_options", "penalised", "sparse_retrieval_evaluator", "train_sparse"]


def add_penalty_options(made: ArgumentParser, queries: bool = True) -> None:
    """The options about penalties on dimensions in use; ``queries=False`` for those that are looked up."""
    made.add_argument(
        "--document-weight",
        type=positive_number,
        default=3e-5,
        help="weight of the penalty on documents: larger for fewer dimensions (default: 3e-5)",
    )
    if queries:
        made.add_argument(
            "--query-weight",
            type=positive_number,
            default=5e-5,
            help="the same for questions (default: 5e-5)",
        )
    made.add_argument(
        "--mini-batch-size",
        type=positive,
        help="embed so many texts of a batch at a time, for large batches in little memory",
    )


def penalised(model: Any, inner: nn.Module, options: Any) -> SpladeLoss:
    """The loss around ``inner`` with the penalties of the options."""
    weights = {
        "document_regularizer_weight": options.document_weight,
        "query_regularizer_weight": getattr(options, "query_weight", None),
    }
    if options.mini_batch_size:
        return CachedSpladeLoss(model, inner, **weights, mini_batch_size=options.mini_batch_size)
    return SpladeLoss(model, inner, **weights)


def train_sparse(
    model: SparseEncoder, loss: nn.Module, train: Dataset, options: Any, split: str = "test", **changes: Any
) -> Outcome:
    """Train with the loss and save, with the figures before and after if there is something to evaluate on.

    Args:
        split: judgments to evaluate on.
        changes: arguments of the trainer that differ from those of the options.
    """
    rising = [SpladeRegularizerWeightSchedulerCallback(loss)] if isinstance(loss, SpladeLoss) else []
    trainer = SparseEncoderTrainer(
        model=model,
        args=arguments_of(
            SparseEncoderTrainingArguments, options, **{"batch_sampler": "no_duplicates", **changes}
        ),
        train_dataset=train,
        loss=loss,
        callbacks=rising,
    )
    return train_and_save(trainer, sparse_retrieval_evaluator(options.eval, split=split), options)


def sparse_retrieval_evaluator(
    source: str | None, *, split: str = "test"
) -> SparseInformationRetrievalEvaluator | None:
    """NDCG@10 and its kin on a BEIR folder or on pairs, the dimensions in use and what a search costs."""
    if source is None:
        return None
    return SparseInformationRetrievalEvaluator(
        *read_collection(source, split), name="retrieval", write_csv=False
    )
