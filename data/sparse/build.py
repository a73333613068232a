"""Build the bundled sparse model: mine, label, train, export, measure.

    python -m data.sparse.build --work WORK --start START --beir CRANFIELD --sample SAMPLE

WORK is the folder of `data.recipe.build`, whose pairs are used; the stages keep their results there.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from data.recipe import corpus
from data.recipe.text import Pair
from data.reranker import label
from data.reranker.mine import Candidates, read_candidates, write_candidates
from data.sparse import export, measure, mine, train
from data.sparse.network import DocumentEncoder
from indexing.evaluation import read_beir

logger = logging.getLogger(__name__)

QUESTIONS = 14_000  # mined
# Words that are learned. Others stay as in the start, or fall silent, which makes the network fast.
WORDS = 10_000
START = np.float32(1.5)  # weight in queries of the rarest words, before training
_COUNTED = 60_000  # passages whose words are counted
_FIRST_WORD = 999  # below are special and unused ones
# Docstrings are left out: the sample corpus is made of such.
_LEFT_OUT = "docstring"


def main(arguments: Sequence[str] | None = None) -> None:
    from transformers import AutoModelForMaskedLM

    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    pairs = load_pairs(options.work)
    rows = load_candidates(options.work, pairs)
    label.label_shards(rows, options.work / "sparse-scores", time.time() + options.label_minutes * 60)
    labels = label.read_labels(rows, options.work / "sparse-scores")
    tokenizer = Tokenizer.from_file(str(options.start / "tokenizer.json"))
    rarity = count_rarity(tokenizer, [pair.text for pair in pairs[:_COUNTED]])
    live = choose_words(rarity, WORDS)
    model = AutoModelForMaskedLM.from_pretrained(options.start)
    encoder = DocumentEncoder(model, torch.from_numpy(live))
    table = train.QueryTable(torch.from_numpy(START * rarity[live]))
    train.train(encoder, table, rows[: len(labels)], labels, tokenizer, train.Settings(steps=options.steps))
    learned = table().detach().numpy()
    if options.half_way:
        export.go_half_way(model, AutoModelForMaskedLM.from_pretrained(options.start))
        learned = np.sqrt(learned * START * rarity[live])
    kept = live if options.few_words else choose_words(rarity, len(rarity))
    weights = np.zeros(len(rarity), np.float32)
    weights[kept] = START * rarity[kept]
    weights[live] = learned
    export.silence(model, kept)
    export.write_model(model, options.start, weights, options.output)
    sets = [
        measure.measure("cranfield", options.beir, read_beir(options.beir, "train"), str(options.output)),
        measure.measure(
            "sample", options.sample, read_beir(options.sample / "asked", "train"), str(options.output)
        ),
    ]
    for line in measure.report(sets):
        logger.info(line)


def load_pairs(work: Path) -> list[Pair]:
    """The recipe's pairs, but for docstrings."""
    pairs = [pair for file in sorted(work.glob("pairs*.jsonl")) for pair in corpus.read_pairs(file)]
    return [pair for pair in pairs if pair.source != _LEFT_OUT]


def load_candidates(work: Path, pairs: Sequence[Pair]) -> list[Candidates]:
    """Questions with passages, from ``sparse-candidates.jsonl`` if an earlier run wrote it."""
    path = work / "sparse-candidates.jsonl"
    if not path.exists():
        write_candidates(mine.mine(pairs, QUESTIONS), path)
    return read_candidates(path)


def count_rarity(tokenizer: Tokenizer, texts: Sequence[str]) -> NDArray[np.float32]:
    """For each word of the vocabulary how rare it is in ``texts``, from near 0 to 1 for one that none has."""
    tokenizer.no_truncation()
    counts: Counter[int] = Counter()
    for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False):
        counts.update(set(encoding.ids))
    found = np.zeros(tokenizer.get_vocab_size())
    found[list(counts)] = list(counts.values())
    rarity = np.log(len(texts) / (found + 1)) / np.log(len(texts))
    return rarity.clip(0.02, 1).astype(np.float32)


def choose_words(rarity: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """The ``count`` most frequent words, ascending."""
    often = np.argsort(rarity, kind="stable")[:count]
    return np.sort(often[often >= _FIRST_WORD])


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of data.recipe.build")
    parser.add_argument(
        "--start", type=Path, required=True, help="folder of BertForMaskedLM that training starts from"
    )
    parser.add_argument(
        "--beir", type=Path, required=True, help="folder whose train split says what is gained"
    )
    parser.add_argument("--sample", type=Path, required=True, help="sample corpus, as data.sample builds it")
    parser.add_argument("--output", type=Path, default=Path("data/models/stlib-sparse-en"))
    parser.add_argument("--steps", type=int, default=580)
    parser.add_argument("--few-words", action="store_true", help="only learned words ever fire")
    parser.add_argument("--half-way", action="store_true", help="mean of the start's weights and the learned")
    parser.add_argument("--label-minutes", type=float, default=10.0, help="time for the teacher's scores")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
