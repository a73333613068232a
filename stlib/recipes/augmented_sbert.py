"""Trains on similarities that a slower, stronger model gives, where people scored few pairs or none
(augmented SBERT).

    python -m stlib.recipes.augmented_sbert --train few.csv --labeller STRONGER --eval test.csv \\
        --output model
    python -m stlib.recipes.augmented_sbert --cross-domain --source scored.csv --train texts.txt \\
        --labeller STRONGER --eval test.csv --output model

In the same domain, sentences of the scored pairs are paired anew (each with its nearest neighbours and with
random others), the labeller scores these, and the model learns from both. Across domains nothing is scored
in the new one: its texts are paired, the labeller scores them, and the model learns from these alone.
``--source`` first trains the labeller on scored pairs of the old domain. Thakur et al. 2021,
https://arxiv.org/abs/2010.08240.

The labeller is a bigger bi-encoder, or, when called from Python, any object with ``predict(pairs)``: a
cross-encoder reads both sentences together and is the better judge.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset, concatenate_datasets

from stlib import SentenceTransformer, SentenceTransformerTrainer, losses
from stlib.recipes._common import Outcome, parser, say, train_and_save, training_arguments
from stlib.recipes._data import read_similarities, read_texts, similarity_evaluator
from stlib.recipes._inputs import place, run
from stlib.recipes._labels import score_pairs
from stlib.recipes._numbers import natural, positive
from stlib.util import semantic_search


def main(argv: Sequence[str] | None = None, labeller: Any = None) -> Outcome:
    made = parser(
        __doc__,
        train="table with sentence1, sentence2, score; texts with --cross-domain",
        evaluate="table with sentence1, sentence2, score",
    )
    made.add_argument("--labeller", type=place, help="model that scores pairs: folder or hub id")
    made.add_argument("--cross-domain", action="store_true", help="--train has texts without scores")
    made.add_argument(
        "--source", type=place, metavar="DATA", help="scored pairs that the labeller is trained on first"
    )
    made.add_argument(
        "--neighbours", type=positive, default=3, help="new pairs with near sentences, each (default: 3)"
    )
    made.add_argument(
        "--random", type=natural, default=2, help="new pairs with random sentences, each (default: 2)"
    )
    options = made.parse_args(argv)
    if labeller is None and not options.labeller:
        made.error("name a --labeller, a model stronger than --model")

    model = SentenceTransformer(options.model)
    labeller = labeller or SentenceTransformer(options.labeller)
    if options.source:
        train_labeller(labeller, options)
    if options.cross_domain:
        train = label(read_texts(options.train, limit=options.limit), set(), labeller, options)
    else:
        scored = read_similarities(options.train, limit=options.limit)
        pairs = list(zip(scored["sentence1"], scored["sentence2"], strict=True))
        new = label([text for pair in pairs for text in pair], set(pairs), labeller, options)
        train = concatenate_datasets([scored, new])
    trainer = SentenceTransformerTrainer(
        model=model,
        args=training_arguments(options),
        train_dataset=train,
        loss=losses.CoSENTLoss(model),
    )
    return train_and_save(trainer, similarity_evaluator(options.eval), options)


def train_labeller(labeller: Any, options: argparse.Namespace) -> None:
    """Fine-tunes the labeller, a bi-encoder, on scored pairs; CosineSimilarityLoss, as its numbers are
    used."""
    args = training_arguments(options, output_dir=str(Path(options.output) / "labeller"))
    SentenceTransformerTrainer(
        model=labeller,
        args=args,
        train_dataset=read_similarities(options.source),
        loss=losses.CosineSimilarityLoss(labeller),
    ).train()


def label(
    texts: Sequence[str], known: set[tuple[str, str]], labeller: Any, options: argparse.Namespace
) -> Dataset:
    """New pairs of the texts with the labeller's scores."""
    different = list(dict.fromkeys(texts))
    pairs = new_pairs(different, known, labeller, options)
    scores = score_pairs(labeller, pairs, options.batch_size)
    say(f"{len(pairs)} new pairs, scored {min(scores):.2f} to {max(scores):.2f}")
    left, right = zip(*pairs, strict=True)
    return Dataset.from_dict({"sentence1": left, "sentence2": right, "score": scores})


def new_pairs(
    texts: list[str], known: set[tuple[str, str]], labeller: Any, options: argparse.Namespace
) -> list[tuple[str, str]]:
    """Near pairs, of which there are few among random ones, and random pairs; none twice, none that is
    known."""
    finder = labeller if hasattr(labeller, "encode") else SentenceTransformer(options.model)
    vectors = finder.encode(texts, batch_size=options.batch_size, convert_to_tensor=True)
    draw = random.Random(options.seed)  # noqa: S311 - no secret is drawn
    seen = {frozenset(pair) for pair in known}
    pairs = []
    for text, hits in zip(
        texts, semantic_search(vectors, vectors, top_k=options.neighbours + 1), strict=True
    ):
        others = [texts[int(hit["corpus_id"])] for hit in hits] + draw.choices(texts, k=options.random)
        for other in others:
            pair = frozenset((text, other))
            if len(pair) == 2 and pair not in seen:
                seen.add(pair)
                pairs.append((text, other))
    return pairs


if __name__ == "__main__":
    run(main)
