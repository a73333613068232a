"""Does training a reranker help? NDCG@10 through the real index, before and after.

    python tests/benchmarks/bench_reranker_training.py BEIR_FOLDER [--dev]

A cross-encoder is trained on the collection's train split, with documents that hybrid search finds and that
are not judged relevant as negatives, and measured on the test split. It starts as ms-marco-MiniLM-L12 (see
`dequantized`), whose upper half learns, or as the first layers of all-MiniLM-L6-v2 with a new, random head
(--start minilm).

With --dev nothing of test is read: in three turns a third of the questions of the train split is left out of
training and measured on. It is how to choose settings: those of ms-marco were chosen by its first turn.

"Order alone" is that of the reranker among the documents found, with binary judgments and without the
retrieval's score. Every p is that of a paired randomisation test, see `bench_common.p_value`.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from bench_common import describe, p_value, time_once
from bench_quality import reference_model
from bench_training_quality import quiet
from datasets import Dataset
from dequantized import save_dequantized

from indexing import Collection
from indexing.documents import Document, read_paths
from indexing.evaluation import read_beir
from indexing.search.rerank import passages_of
from stlib import CrossEncoder, SentenceTransformer
from stlib.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
from stlib.cross_encoder.evaluation import CrossEncoderRerankingEvaluator
from stlib.cross_encoder.losses import BinaryCrossEntropyLoss, LambdaLoss, RankNetLoss
from stlib.recipes._layers import keep_layers

LOSSES: dict[str, Any] = {"bce": BinaryCrossEntropyLoss, "lambda": LambdaLoss, "ranknet": RankNetLoss}
TURNS = 3
NEGATIVES_FROM, NEGATIVES_TO = 10, 100  # ranks of the documents that negatives are drawn from
METRIC = "NDCG@10"

Qrels = dict[str, dict[str, int]]


def main() -> None:
    options = read_options()
    transformers.logging.set_verbosity_error()  # it says which weights a new head lacks
    describe("torch", "transformers", "accelerate", "datasets", "faiss-cpu", "tantivy")
    chosen = ", ".join(f"{name} {value}" for name, value in vars(options).items() if name != "folder")
    print(f"{torch.get_num_threads()} threads; {chosen}", flush=True)
    train = read_beir(options.folder, "train")
    splits = (
        turns(train.qrels)[: options.turns]
        if options.dev
        else [(train.qrels, read_beir(options.folder, "test").qrels)]
    )
    with tempfile.TemporaryDirectory() as home, Collection.create("bench", home=home) as collection:
        documents = [item for item in read_paths([options.folder]) if isinstance(item, Document)]
        collection.add(documents)
        bench = Bench(collection, documents, train.queries, options)
        gains = [bench.run(*split) for split in splits]
    if options.dev:
        print(f"mean of the turns: {np.mean(gains):+.4f} by training")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dev", action="store_true", help="measure on data for choosing settings")
    parser.add_argument("--turns", type=int, default=TURNS, help="of --dev")
    parser.add_argument("--start", choices=("ms-marco", "minilm"), default="ms-marco")
    parser.add_argument("--layers", type=int, default=2, help="of --start minilm")
    parser.add_argument("--frozen", type=int, default=6, help="layers of --start ms-marco that do not learn")
    parser.add_argument("--max-length", type=int, default=192, help="tokens of a pair")
    parser.add_argument("--depth", type=int, default=20, help="documents that are reranked")
    parser.add_argument("--loss", choices=sorted(LOSSES), default="lambda")
    parser.add_argument("--positives", type=int, default=8, help="for each question, the best graded")
    parser.add_argument("--negatives", type=int, default=8, help="for each question")
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--batch-size", type=int, default=2, help="questions a step")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def turns(qrels: Qrels) -> list[tuple[Qrels, Qrels]]:
    """Questions to train on and those left out, three times."""
    left_out = [set(list(qrels)[turn::TURNS]) for turn in range(TURNS)]
    return [
        ({q: d for q, d in qrels.items() if q not in out}, {q: d for q, d in qrels.items() if q in out})
        for out in left_out
    ]


class Bench:
    """Trains on some questions of a collection and measures on others."""

    def __init__(
        self,
        collection: Collection,
        documents: list[Document],
        queries: dict[str, str],
        options: argparse.Namespace,
    ) -> None:
        self.collection = collection
        self.documents = {document.id: document for document in documents}
        self.texts = {document.id: text_of(document) for document in documents}
        self.queries = queries
        self.options = options

    def run(self, train: Qrels, measured: Qrels) -> float:
        """Prints the figures; returns what training adds to the NDCG@10 of reranked hybrid search."""
        torch.manual_seed(self.options.seed)  # the head is random
        model = self.new_model()
        untrained = Remembered(model)
        found, before = self.reranked(None, measured), self.reranked(untrained, measured)
        before_alone, found_alone = self.alone(untrained, measured)
        seconds = time_once(lambda: self.train(model, train))
        trained = Remembered(model)
        after = self.reranked(trained, measured)
        after_alone, _ = self.alone(trained, measured)
        print(f"\ntrained on {len(train)} questions in {seconds:.0f} s, {METRIC} of {len(measured)} others:")
        print(f"  hybrid                     {found.mean():.4f}")
        print(f"  + reranker before          {compared(before, found)}")
        print(f"  + reranker after           {compared(after, found)}")
        print(f"  gained by training         {gain(after, before)}")
        print(f"  hybrid, order alone        {found_alone.mean():.4f}")
        print(f"  before, order alone        {compared(before_alone, found_alone)}")
        print(f"  after, order alone         {compared(after_alone, found_alone)}")
        print(f"  gained by training         {gain(after_alone, before_alone)}", flush=True)
        return float((after - before).mean())

    def new_model(self) -> CrossEncoder:
        if self.options.start == "minilm":
            return small_reranker(self.options.layers, self.options.max_length)
        with tempfile.TemporaryDirectory() as folder, quiet():
            save_dequantized(Path(folder))
            model = CrossEncoder(folder, max_length=self.options.max_length, device="cpu")
        bert = model.model.bert
        for part in (bert.embeddings, *bert.encoder.layer[: self.options.frozen]):
            part.requires_grad_(False)
        return model

    # -- measuring

    def reranked(self, model: Remembered | None, qrels: Qrels) -> np.ndarray:
        """NDCG@10 of hybrid search for each question, reranked if there is a model."""
        with quiet():
            report = self.collection.evaluate(
                self.queries, qrels, rerank=model, rerank_depth=self.options.depth
            )
        return np.array([metrics[METRIC] for metrics in report.per_query.values()])

    def alone(self, model: Remembered, qrels: Qrels) -> np.ndarray:
        """NDCG@10 for each question of the reranker's order and of the order found, ``[2, questions]``."""
        values = []
        for query, judged in qrels.items():
            ids = [result.id for result in self.found(self.queries[query], self.options.depth)]
            sample = {
                "query": self.queries[query],
                # What was not found cannot be reranked; without it the two orders compare.
                "positive": [self.texts[id_] for id_ in ids if judged.get(id_, 0) > 0],
                "documents": [self.texts[id_] for id_ in ids],
            }
            with quiet():
                evaluator = CrossEncoderRerankingEvaluator([sample], write_csv=False)
                metrics = evaluator(model)
            values.append((metrics["ndcg@10"], metrics.get("base_ndcg@10", 0.0)))
        return np.array(values).T

    def found(self, text: str, k: int) -> list[Any]:
        return self.collection.search(text, k).results

    # -- training

    def train(self, model: CrossEncoder, qrels: Qrels) -> None:
        self.train_on(model, list(self.lists_of(qrels)), self.options.epochs)

    def lists_of(self, qrels: Qrels) -> Iterable[dict[str, Any]]:
        """Judged documents and some of the others that are found, with grades, of each question.

        Not the very best of the others: beside judged ones that no search finds they would teach that what
        resembles the question is wrong.
        """
        chosen = random.Random(self.options.seed)
        for query, judged in qrels.items():
            grades = {id_: max(grade, 0) for id_, grade in judged.items() if id_ in self.texts}
            found = [result.id for result in self.found(self.queries[query], NEGATIVES_TO)]
            others = [id_ for id_ in found[NEGATIVES_FROM:] if id_ not in grades]
            others = chosen.sample(others, min(self.options.negatives, len(others)))
            best = sorted(grades, key=lambda id_: -grades[id_])[: self.options.positives]
            ids = [*best, *others]
            yield {
                "query": self.queries[query],
                "documents": [self.texts[id_] for id_ in ids],
                "label": [float(grades.get(id_, 0)) for id_ in ids],
            }

    def train_on(self, model: CrossEncoder, lists: list[dict[str, Any]], epochs: float) -> None:
        options = self.options
        size = options.batch_size
        if options.loss == "bce":
            size *= round(sum(len(one["documents"]) for one in lists) / len(lists))
            lists = [row for one in lists for row in pairs_of(one)]
        loss = LOSSES[options.loss]
        with tempfile.TemporaryDirectory() as folder, quiet():
            arguments = CrossEncoderTrainingArguments(
                output_dir=folder,
                num_train_epochs=epochs,
                per_device_train_batch_size=size,
                learning_rate=options.learning_rate,
                warmup_steps=0.1,
                seed=options.seed,
                save_strategy="no",
                report_to="none",
                use_cpu=True,
            )
            CrossEncoderTrainer(
                model, args=arguments, train_dataset=Dataset.from_list(lists), loss=loss(model)
            ).train()


class Remembered:
    """A cross-encoder that scores no pair twice; the scores are logits."""

    def __init__(self, model: CrossEncoder) -> None:
        self.model = model
        self.num_labels = model.num_labels
        self.loaded_from = None
        self.known: dict[tuple[str, str], float] = {}

    def predict(self, inputs: list[Any], **options: Any) -> np.ndarray:
        pairs = [(query, document) for query, document in inputs]
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self.known]
        if new:
            logits = self.model.predict(new, activation_fn=torch.nn.Identity(), show_progress_bar=False)
            self.known.update(zip(new, logits.tolist(), strict=True))
        return np.array([self.known[pair] for pair in pairs])


def small_reranker(layers: int, max_length: int) -> CrossEncoder:
    """The first layers of all-MiniLM-L6-v2 with a new head."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        encoder = SentenceTransformer(reference_model(), device="cpu")
        keep_layers(encoder, range(layers))
        transformer: Any = encoder[0]
        transformer.auto_model.save_pretrained(folder)
        encoder.tokenizer.save_pretrained(folder)
        return CrossEncoder(folder, num_labels=1, max_length=max_length, device="cpu")


def pairs_of(one: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"query": one["query"], "document": document, "label": float(label > 0)}
        for document, label in zip(one["documents"], one["label"], strict=True)
    ]


def text_of(document: Document) -> str:
    """What a search gives the reranker to read of a document of this length."""
    return passages_of(document.title, document.text, [0])[0]


def compared(values: np.ndarray, others: np.ndarray) -> str:
    return f"{values.mean():.4f} ({gain(values, others)})"


def gain(values: np.ndarray, others: np.ndarray) -> str:
    differences = values - others
    return f"{differences.mean():+.4f}, p = {p_value(differences):.4f}"


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    main()
