"""Does training help? Spearman on the STS benchmark and NDCG@10 on a BEIR collection, before and after.

    python tests/benchmarks/bench_training_quality.py --stsb FOLDER --beir FOLDER [--dev]

The folder of the STS benchmark holds sts-train.csv, sts-dev.csv and sts-test.csv; the collection is in BEIR
layout with the splits train and test. Models are trained by the recipes on train and measured on test. With
--dev nothing of test is read: they are measured on sts-dev.csv and, in three turns, on a third of the
questions of the collection's train split, which is then left out of training.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from bench_common import describe
from bench_quality import reference_model

from stlib import SentenceTransformer
from stlib.evaluation import SentenceEvaluator
from stlib.recipes import msmarco, sts
from stlib.recipes._data import retrieval_evaluator, similarity_evaluator

# Options of the recipes, by the model that training starts from
STS = {
    # The bundled model knew such pairs before: no learning rate from 2e-4 to 1e-2 gained on dev.
    "static": "--epochs 1 --batch-size 32 --learning-rate 2e-4",
    "minilm": "--epochs 1 --batch-size 32 --learning-rate 5e-5",
}
RETRIEVAL = {
    "static": "--epochs 3 --batch-size 64 --learning-rate 1e-2 --negatives 3 --titles",
    "minilm": "--epochs 1 --batch-size 32 --learning-rate 5e-5 --negatives 1 --titles",
}
TURNS = 3
# Tokens of a document seen in training; measured is always with the model's own length.
TRAINED_LENGTH = {"static": None, "minilm": 128}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stsb", type=Path)
    parser.add_argument("--beir", type=Path)
    parser.add_argument("--models", nargs="+", choices=sorted(STS), default=sorted(STS, reverse=True))
    parser.add_argument("--dev", action="store_true", help="measure on data for choosing settings")
    parser.add_argument("--options", default="", help="further options of the recipe, to try settings")
    options = parser.parse_args()
    describe("torch", "transformers", "accelerate", "datasets")
    print(f"{torch.get_num_threads()} threads")
    for name in options.models:
        start = {"static": "stlib-static-en", "minilm": reference_model}[name]
        start = start if isinstance(start, str) else start()
        if options.stsb:
            report_sts(name, start, options)
        if options.beir:
            report_retrieval(name, start, options)


def report_sts(name: str, start: str, options: argparse.Namespace) -> None:
    split = "dev" if options.dev else "test"
    evaluator = similarity_evaluator(str(options.stsb / f"sts-{split}.csv"))
    arguments = ["--train", str(options.stsb / "sts-train.csv"), *STS[name].split(), *options.options.split()]
    report(f"{name}, STS benchmark, {split}", sts, start, arguments, evaluator)


def report_retrieval(name: str, start: str, options: argparse.Namespace) -> None:
    arguments = [*RETRIEVAL[name].split(), *options.options.split()]
    gains = []
    for turn in range(TURNS) if options.dev else (None,):
        with splits(options.beir, turn) as (folder, trained_on, measured_on):
            evaluator = retrieval_evaluator(str(folder), split=measured_on)
            source = ["--train", str(folder), "--train-split", trained_on]
            title = f"{name}, {options.beir.name}, {measured_on}"
            gain = report(title, msmarco, start, [*source, *arguments], evaluator, TRAINED_LENGTH[name])
            gains.append(gain)
    if options.dev:
        print(f"{name}, {options.beir.name}: mean gain {sum(gains) / TURNS:+.4f}", flush=True)


def report(
    title: str,
    recipe: object,
    start: str,
    arguments: list[str],
    evaluator: SentenceEvaluator,
    length: int | None = None,
) -> float:
    """Runs the recipe, prints the evaluator's primary metric before and after, and returns the gain."""
    model = SentenceTransformer(start, device="cpu")
    whole = model.max_seq_length
    metrics = evaluator(model)
    before = metrics[evaluator.primary_metric]
    with tempfile.TemporaryDirectory() as folder:
        if length:
            model.max_seq_length = length
        model.save_pretrained(f"{folder}/start")
        command = ["--model", f"{folder}/start", "--output", f"{folder}/trained", *arguments]
        started = time.perf_counter()
        with quiet():
            recipe.main(command)
        took = time.perf_counter() - started
        trained = SentenceTransformer(f"{folder}/trained", device="cpu")
        if length:
            trained.max_seq_length = whole
        after = evaluator(trained)[evaluator.primary_metric]
    gain = f"{before:.4f} -> {after:.4f} ({after - before:+.4f})"
    print(f"{title}: {evaluator.primary_metric} {gain}, {took:.0f} s")
    print(f"    {' '.join(arguments)}", flush=True)
    return after - before


@contextlib.contextmanager
def splits(folder: Path, turn: int | None) -> Iterator[tuple[Path, str, str]]:
    """The collection and the names of the splits to train and measure on."""
    if turn is None:
        yield folder, "train", "test"
        return
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary)
        (copy / "qrels").mkdir()
        for name in ("corpus.jsonl", "queries.jsonl"):
            (copy / name).symlink_to((folder / name).resolve())
        header, *rows = (folder / "qrels" / "train.tsv").read_text("utf-8").splitlines()
        questions = list(dict.fromkeys(row.split("\t")[0] for row in rows))
        held_out = set(questions[turn::TURNS])
        for name, wanted in (("fit", False), ("held", True)):
            chosen = [row for row in rows if (row.split("\t")[0] in held_out) is wanted]
            (copy / "qrels" / f"{name}.tsv").write_text("\n".join([header, *chosen]), "utf-8")
        yield copy, "fit", "held"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the trainer's log, unless something goes wrong."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            yield
    except BaseException:
        sys.stderr.write(said.getvalue()[-2000:])
        raise


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    main()
