"""Whether what a person knows to be in a file is found: recall@3 by format among some seven thousand others.

    python tests/benchmarks/bench_formats.py [--keep FOLDER]

Over 370 files of every extension, packing and encoding that is read, each with a question whose answer is
in it, in one collection with the sample corpus. Prints the questions that failed and what came instead.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench_common import describe, sample_corpus

from indexing import Collection
from indexing.documents import read_paths
from tests.people_files.asking import Asked, ask, index
from tests.people_files.plan import plan_files, title_words_asked, write_files

MODES = ("hybrid", "semantic", "keyword")


def measure(folder: Path) -> dict[str, list[Asked]]:
    files = plan_files()
    people = folder / "files"
    write_files(files, people)
    with Collection.create("formats", home=folder / "home") as collection:
        collection.add(read_paths([sample_corpus(folder / "sample")]), on_error="skip")
        others = collection.info().documents
        index(collection, people)
        print(f"{len(files)} files, {others} other documents")
        return {mode: ask(collection, people, files, mode) for mode in MODES}


def recall(answers: list[Asked]) -> float:
    return sum(asked.rank is not None for asked in answers) / len(answers)


def print_table(asked: dict[str, list[Asked]]) -> None:
    print(f"\n{'recall@3 of':14} {'files':>5} " + " ".join(f"{mode:>9}" for mode in MODES))
    rows: dict[str, dict[str, list[Asked]]] = defaultdict(lambda: {mode: [] for mode in MODES})
    for mode, answers in asked.items():
        for one in answers:
            title = "no word of its title" if not title_words_asked(one.file) else "words of its title"
            for row in (one.file.group, f"~{title}", "~~all"):
                rows[row][mode].append(one)
    for row, by_mode in sorted(rows.items()):
        figures = " ".join(f"{recall(by_mode[mode]):9.3f}" for mode in MODES)
        print(f"{row.lstrip('~'):20} {len(by_mode['hybrid']):5} {figures}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", type=Path, help="an empty folder for the files and the collection")
    arguments = parser.parse_args()
    describe("stlib-search", "faiss-cpu", "tantivy")
    with tempfile.TemporaryDirectory() as name:
        asked = measure(arguments.keep or Path(name))
    print_table(asked)
    for one in asked["hybrid"]:
        if one.rank is None:
            print(f"\n{one.file.path}: {one.file.question}\n   {', '.join(one.found)}")


if __name__ == "__main__":
    main()
