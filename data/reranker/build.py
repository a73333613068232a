"""Build the bundled reranker: mine, label, train, choose the weight, export.

    python -m data.reranker.build --work WORK --beir CRANFIELD

WORK is the folder of `data.recipe.build`, whose pairs are used; the stages keep their results there.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from data.recipe import corpus
from data.reranker import label, mine, train
from indexing import Collection
from indexing.documents import read_paths
from indexing.evaluation import read_beir
from stlib.runtime import InteractionReranker, default_model_path
from stlib.runtime.interaction_reranker import InteractionNet
from stlib.runtime.modules.static import StaticEmbedding

logger = logging.getLogger(__name__)

HELD_OUT = 200  # questions that measure agreement with the teacher
WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(options.threads)
    rows = load_candidates(options.work, options.questions)
    label.label_shards(rows, options.work / "scores", time.time() + options.label_minutes * 60)
    vectors = StaticEmbedding.load(default_model_path() / "0_StaticEmbedding")
    examples = train.examples_of(vectors, rows, label.read_labels(rows, options.work / "scores"))
    network = train.train(examples[HELD_OUT:])
    logger.info(
        "%d questions, correlation with the teacher on %d held out: %.3f",
        len(examples) - HELD_OUT,
        HELD_OUT,
        train.agreement(network, examples[:HELD_OUT]),
    )
    write_model(options.output, network.tensors(), vectors, 0.0)
    weight = best_weight(options.output, options.beir)
    write_model(options.output, network.tensors(), vectors, weight)
    logger.info("wrote %s, weight %.1f", options.output, weight)


def load_candidates(work: Path, questions: int) -> list[mine.Candidates]:
    """Questions with passages, from ``candidates.jsonl`` if an earlier run wrote it."""
    path = work / "candidates.jsonl"
    if not path.exists():
        files = sorted(work.glob("pairs*.jsonl"))
        pairs = [pair for file in files for pair in corpus.read_pairs(file)]
        mine.write_candidates(mine.mine(pairs, questions), path)
    return mine.read_candidates(path)


def write_model(
    folder: Path, tensors: dict[str, NDArray[np.float32]], vectors: StaticEmbedding, weight: float
) -> None:
    """Write everything but the model card into ``folder``."""
    InteractionReranker(InteractionNet(tensors), vectors, folder.name, weight).save(folder)


def best_weight(folder: Path, beir: Path) -> float:
    """The weight beside retrieval with the best NDCG@10 of hybrid search on the train judgments."""
    judged = read_beir(beir, "train")
    reranker = InteractionReranker.load(folder)
    with tempfile.TemporaryDirectory() as home, Collection.create("train", None, home=home) as collection:
        collection.add(read_paths([beir]), on_error="skip")
        values = {}
        for weight in WEIGHTS:
            reranker.weight = weight
            report = collection.evaluate(judged.queries, judged.qrels, mode="hybrid", rerank=reranker)
            values[weight] = report.metrics["NDCG@10"]
            logger.info("weight %.1f: NDCG@10 %.4f", weight, values[weight])
    return max(values, key=lambda weight: values[weight])


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of data.recipe.build")
    parser.add_argument(
        "--beir", type=Path, required=True, help="folder whose train split chooses the weight"
    )
    parser.add_argument("--output", type=Path, default=Path("data/models/stlib-rerank-en"))
    parser.add_argument("--questions", type=int, default=30_000, help="that are mined")
    parser.add_argument("--label-minutes", type=float, default=60.0, help="time for the teacher's scores")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
