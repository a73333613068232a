"""Seconds of the cheap levers on 1,000 judged questions: ranking, memory and query, one after the other.

    python tests/benchmarks/bench_tuning.py [--questions 1000]

Documents are the sample corpus; the questions are made of words of documents, which are then their answers.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from bench_common import describe, sample_corpus, time_once
from learn import NAME, read_corpus

from app.feedback.judged import Question
from app.feedback.questions import question_hash
from app.tuning.auto import CHEAP, fit_levers
from app.tuning.data import make_data
from indexing import Collection

WORDS = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=1000)
    choices = parser.parse_args()
    describe("numpy")
    with (
        tempfile.TemporaryDirectory() as folder,
        Collection.create(NAME, home=Path(folder) / "home") as notes,
    ):
        corpus = sample_corpus(Path(folder) / "sample") / "corpus.jsonl"
        notes.add(read_corpus(corpus))
        questions = list(make_questions(corpus, choices.questions))
        with notes.probe() as probe:
            made = []
            total = time_once(lambda: made.append(make_data(probe, questions)))
            data = made[0]
            print(f"reading {len(data.questions):,} questions in {len(notes):,} documents: {total:.1f} s")
            positions = np.arange(len(data.questions))
            for name in CHEAP:
                seconds = time_once(partial(fit_levers, data, positions, [name], probe.settings))
                print(f"{name}: {seconds:.1f} s")
                total += seconds
    print(f"together: {total:.1f} s (30 allowed on two cores)")


def make_questions(corpus: Path, count: int) -> Iterator[Question]:
    """Questions of some words of a document each, whose answer it is."""
    generator = random.Random(0)
    rows = [row for row in read_corpus(corpus) if len(str(row["text"]).split()) > WORDS]
    for row in generator.sample(rows, min(count, len(rows))):
        text = " ".join(generator.sample(str(row["text"]).split(), WORDS))
        yield Question(question_hash(text), text, "train", False, {str(row["id"]): 1})


if __name__ == "__main__":
    main()
