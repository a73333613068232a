"""Ten million passages with vectors of 256 numbers on one machine, beside the sums that foretell them.

    python tests/benchmarks/bench_ten_million.py [--rows 10000000] [--home FOLDER [--keep]]

Without arguments 200,000 rows, which take a minute; 10,000,000 take some 15 minutes and 15 GB of disk.
Documents have a few words and bring their vectors (`ten_million_data`): `Collection.add(vectors=…)`, 100,000
at a time, into a collection of the precision `ubinary`, whose bits are scanned and whose int8 codes score the
nearest. The ten best of each question by the int8 codes of all passages are found on the way. With --home a
run that was stopped goes on, and one that was kept is asked again.

A cold process finds none of the collection's files in the system's memory; a warm one has asked the same
questions before. Memory is that of a process beyond the same one without the collection.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from bench_common import describe
from bench_million import status
from ten_million_data import BLOCK_ROWS, DIMENSION, FIELDS, BestRows, Passages, documents

from indexing import Collection
from indexing.sizing import disk, vectors
from indexing.sizing.measured import measured
from indexing.storage.files import bytes_below

NAME = "ten-million"
PRECISION = "ubinary"
PORTION = 10 * BLOCK_ROWS
QUESTIONS = 200
K = 10
STATE, TRUTH = "bench-state.json", "bench-truth.npz"
BYTES_A_ROW = 1_400  # while it is made; some two thirds of it stay
MANY = 10_000  # more than are scanned beside a snapshot: the views are published
PARTS = ("build", "view", "cold", "warm", "change")


# --- parts, each a process of its own ----------------------------------------------------------------------


def build(home: Path, rows: int) -> None:
    """Adds what is not there yet. The clock runs while `add` does."""
    passages, state, peak = Passages(), read_state(home), AnonymousPeak()
    stored = home / TRUTH if state["rows"] else None
    best = BestRows(passages.questions(QUESTIONS), K, stored)
    exists = (home / "collections" / NAME).exists()
    made = {} if exists else {"dimension": DIMENSION, "precision": PRECISION}
    with (Collection.open if exists else Collection.create)(NAME, home=home, **made) as collection:
        while state["rows"] < rows:
            first, count = state["rows"], min(PORTION, rows - state["rows"])
            coming, own = passages.rows(first, count), documents(first, count)
            report, seconds = timed(lambda d=own, v=coming: collection.add(d, vectors=v))
            codec = collection._session.live().codec
            assert codec is not None
            best.look_at(first, coming, codec)
            best.save(home / TRUTH)
            state["rows"] += count
            state["add"] += seconds
            state["views"] += report.view_seconds
            state["slowest"] = max(state["slowest"], report.view_seconds)
            state["characters"] += sum(len(one["text"]) for one in own)
            state["peak"] = max(state["peak"], peak.mebibytes)
            (home / STATE).write_text(json.dumps(state))
            if state["rows"] % 1_000_000 == 0:
                print(f"  {state['rows']:,} rows in {state['add']:.0f} s", file=sys.stderr, flush=True)
    peak.stop()
    tell("build")


def read_state(home: Path) -> dict[str, Any]:
    path = home / STATE
    if path.exists():
        return json.loads(path.read_text())
    return {"rows": 0, "add": 0.0, "views": 0.0, "slowest": 0.0, "characters": 0, "peak": 0}


class AnonymousPeak:
    """The most anonymous memory of this process in MiB, looked at ten times a second."""

    def __init__(self) -> None:
        self.mebibytes = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._end.wait(0.1):
            self.mebibytes = max(self.mebibytes, status("RssAnon"))

    def stop(self) -> None:
        self._end.set()
        self._thread.join()


def make_view_anew(home: Path) -> None:
    """The view of vectors from the codes in the catalog."""
    shutil.rmtree(home / "collections" / NAME / "views" / "vectors")
    with Collection.open(NAME, home=home) as collection:
        before, peak = status("RssAnon"), AnonymousPeak()
        _, seconds = timed(collection.refresh)
        peak.stop()
    tell("view", seconds=seconds, peak=peak.mebibytes - before)


def ask(home: Path, state: str) -> None:
    """Questions of a cold process, or of one that has asked them before."""
    questions = Passages().questions(QUESTIONS)
    before = status("RssAnon"), status("RssFile")
    collection, opened = timed(lambda: Collection.open(NAME, home=home))

    def search(question: np.ndarray, filter: str | None = None) -> Any:
        return collection.search(vector=question, k=K, mode="semantic", filter=filter)

    with collection:
        _, first = timed(lambda: search(questions[0]))
        once = status("RssAnon") - before[0], status("RssFile") - before[1]
        for question in questions if state == "warm" else []:
            search(question)
        asked = [timed(lambda q=q: search(q)) for q in questions]
        memory = status("RssAnon") - before[0], status("RssFile") - before[1]
        reader = collection._views.readers(collection._session.live()).vectors
        assert reader is not None
        alone = [timed(lambda q=q: reader.search(q, 100))[1] for q in questions]
        years = [1990 + i % 35 for i in range(50)]
        filtered = [
            timed(lambda q=q, year=year: search(q, f"year = {year}"))
            for q, year in zip(questions, years, strict=False)
        ]
        for (answer, _), year in zip(filtered, years, strict=True):
            assert [r.metadata["year"] for r in answer.results] == [year] * K
        _, info = timed(collection.info)
    best = np.load(home / TRUTH)["rows"]
    found = [[int(r.id.removeprefix("passage-")) for r in answer.results] for answer, _ in asked]
    recall = [len(np.intersect1d(ids, best[i])) / K for i, ids in enumerate(found)]
    seconds = [one for _, one in asked]
    tell(
        state,
        opened=opened,
        first=first,
        p50=median(seconds),
        p99=float(np.quantile(seconds, 0.99)),
        alone=median(alone),
        filtered=median(one for _, one in filtered),
        info=info,
        once=once,
        memory=memory,
        recall=(float(np.mean(recall[: QUESTIONS // 2])), float(np.mean(recall[QUESTIONS // 2 :]))),
    )


def change(home: Path) -> None:
    """One document more, and so many that the views are published; they are deleted again."""
    rows, marker = Passages().block(1 << 30), f"more-{os.getpid()}-"
    added, searched = [], []
    with Collection.open(NAME, home=home) as collection:
        collection.search(vector=rows[0], mode="semantic")
        for i in range(15):
            given = [{"id": f"{marker}{i}", "text": "one more"}]
            added.append(timed(lambda g=given, i=i: collection.add(g, vectors=rows[i : i + 1]))[1])
            found, seconds = timed(lambda i=i: collection.search(vector=rows[i], mode="semantic"))
            assert found.results[0].id == given[0]["id"], found.results[0]
            searched.append(seconds)
        ids = [f"{marker}{i}" for i in range(MANY)]
        many = [{"id": id_, "text": "one of many"} for id_ in ids]
        _, published = timed(lambda: collection.add(many, vectors=rows[:MANY]))
        _, after = timed(lambda: collection.search(vector=rows[0], mode="semantic"))
        _, deleted = timed(lambda: collection.delete(ids))
        _, at_last = timed(lambda: collection.search(vector=rows[0], mode="semantic"))
    figures = {"published": published, "after": after, "deleted": deleted, "at_last": at_last}
    tell("change", added=median(added), searched=median(searched), **figures)


def timed(run: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    result = run()
    return result, time.perf_counter() - started


def tell(what: str, **figures: Any) -> None:
    print(json.dumps({"what": what, **figures}), flush=True)


# --- the whole ---------------------------------------------------------------------------------------------


def run_parts(home: Path, rows: int) -> dict[str, dict[str, Any]]:
    figures = {}
    for part in PARTS:
        if part == "cold":
            forget_files(home)
        command = [sys.executable, __file__, "--rows", str(rows), "--home", str(home), "--part", part]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        figures[part] = json.loads(done.stdout.splitlines()[-1])
    return figures


def forget_files(home: Path) -> None:
    """Takes the collection's files out of the system's memory."""
    os.sync()
    for path in home.rglob("*"):
        if path.is_file() and hasattr(os, "posix_fadvise"):
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def report(home: Path, figures: dict[str, dict[str, Any]]) -> None:
    state, place = read_state(home), home / "collections" / NAME
    rows, view, warm, more = state["rows"], figures["view"], figures["warm"], figures["change"]
    bytes_of = {path.name: bytes_below(path) for path in sorted((place / "views").iterdir())}
    bytes_of["catalog"] = sum(path.stat().st_size for path in place.glob("catalog.sqlite*"))
    print(f"\n{rows:,} passages of {DIMENSION} numbers, {PRECISION}: bits are scanned, int8 codes score")
    print(
        f"added in {state['add']:.0f} s ({rows / state['add']:,.0f} a second), of which {state['views']:.0f} "
        f"s for views (at most {state['slowest']:.1f} s of one portion); anonymous memory {state['peak']} MiB"
    )
    print(f"view of vectors made anew in {view['seconds']:.0f} s, anonymous memory +{view['peak']} MiB")
    parts = ", ".join(f"{name} {size / 1e9:.2f}" for name, size in bytes_of.items())
    print(f"disk: {parts}, together {sum(bytes_of.values()) / 1e9:.2f} GB")
    for name in ("cold", "warm"):
        told = figures[name]
        print(
            f"{name}: opened in {told['opened'] * 1e3:.0f} ms, first search {told['first'] * 1e3:.0f} ms, "
            f"{QUESTIONS} questions p50 {told['p50'] * 1e3:.1f} ms, p99 {told['p99'] * 1e3:.1f} ms; "
            f"with a filter p50 {told['filtered'] * 1e3:.1f} ms; info {told['info'] * 1e3:.0f} ms; after one "
            f"search +{told['once'][0]} MiB anonymous, +{told['once'][1]} mapped; after all "
            f"+{told['memory'][0]}, +{told['memory'][1]}"
        )
    print("recall@10: {:.3f} near a passage, {:.3f} of questions of their own".format(*warm["recall"]))
    print(
        f"one document more {more['added'] * 1e3:.1f} ms, a search after it {more['searched'] * 1e3:.1f} ms; "
        f"{MANY:,} more, published, {more['published']:.1f} s, a search after it {more['after'] * 1e3:.0f} "
        f"ms; deleted {more['deleted']:.1f} s, a search after it {more['at_last'] * 1e3:.0f} ms"
    )
    compare(rows, state, bytes_of, figures)


def compare(
    rows: int, state: dict[str, Any], bytes_of: dict[str, int], figures: dict[str, dict[str, Any]]
) -> None:
    """What was measured beside what `stlib plan` reckons with."""
    view, warm, length = figures["view"], figures["warm"], state["characters"] / rows
    metadata = len('{"shelf":"shelf 123","year":1990}')
    catalog = disk.document_bytes(length, metadata) + disk.passage_bytes()
    catalog += disk.code_bytes(DIMENSION, PRECISION)
    memory = vectors.memory(rows, DIMENSION, PRECISION)
    store = measured()["store"]["sqlite"]
    adding = rows * (store["document"] + store["passage"] + length * store["character"])
    lines = [
        ("catalog, MB", bytes_of["catalog"] / 1e6, rows * catalog / 1e6),
        ("vectors, MB", bytes_of["vectors"] / 1e6, vectors.view_bytes(rows, DIMENSION, PRECISION) / 1e6),
        ("words, MB", bytes_of["lexical"] / 1e6, rows * disk.words_bytes(length) / 1e6),
        ("metadata, MB", bytes_of["columns"] / 1e6, rows * disk.column_bytes(FIELDS) / 1e6),
        ("adding without views, s", state["add"] - state["views"], adding),
        ("view of vectors, s", view["seconds"], vectors.build_seconds(rows, DIMENSION, PRECISION)),
        ("memory of vectors, MB", sum(warm["memory"]) * 1.048576, sum(memory) / 1e6),
        ("search of vectors, ms", warm["alone"] * 1e3, vectors.search_ms(rows, DIMENSION, PRECISION)),
    ]
    lines.insert(4, ("disk together, MB", *(sum(line[i] for line in lines[:4]) for i in (1, 2))))
    print(f"\n{'':<26}{'measured':>12}{'sums':>12}{'error':>8}")
    for what, found, reckoned in lines:
        print(f"{what:<26}{found:>12,.1f}{reckoned:>12,.1f}{reckoned / found - 1:>+8.0%}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--home", type=Path, help="where the collection is kept, or lies already")
    parser.add_argument("--keep", action="store_true", help="leave it there")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part is not None:
        return run_part(given)
    describe("faiss-cpu", "tantivy", "numpy")
    home = given.home or Path(tempfile.mkdtemp(prefix="ten-million-"))
    home.mkdir(parents=True, exist_ok=True)
    needed = (given.rows - read_state(home)["rows"]) * BYTES_A_ROW
    free = shutil.disk_usage(home).free
    if needed > free:
        sys.exit(f"{given.rows:,} rows need {needed / 1e9:.0f} GB in {home}, {free / 1e9:.0f} GB are free")
    try:
        report(home, run_parts(home, given.rows))
    finally:
        if not given.keep:
            shutil.rmtree(home)
    return None


def run_part(given: argparse.Namespace) -> None:
    if given.part == "build":
        return build(given.home, given.rows)
    if given.part == "view":
        return make_view_anew(given.home)
    return change(given.home) if given.part == "change" else ask(given.home, given.part)


if __name__ == "__main__":
    main()
