"""What passages take on the disk, in memory and of time, and how right the sums of `stlib plan` are.

    python tests/benchmarks/bench_sizing.py [--passages N …] [--beir FOLDER …] [--json] [--write]

Small collections, engines and models give the constants of `indexing/sizing/measured.json`, which `--write`
makes anew; what grows with a collection comes from the smallest and the largest one. Collections of the given
sizes have vectors that are brought, 256 numbers each as int8. What they take is printed beside the sums, with
the error of each. Texts are sentences of the sample corpus, 200 to 600 characters a document, with
three fields of metadata. PostgreSQL is measured on a server of its own, or on that of DATABASE_URL.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from bench_common import cpu_name, describe, sample_corpus
from bench_million import status
from sizing_parts import (
    FIELDS,
    WIDTH,
    documents,
    measure_graph,
    measure_models,
    measure_rerankers,
    measure_rows,
    measure_scans,
    measure_terms,
    measure_text,
    measure_words,
    median_ms,
    random_rows,
    read_texts,
)
from sizing_postgres import measure_postgres, missing

from indexing import Collection
from indexing.catalog.database import reading
from indexing.catalog.reads import codes_of_chunks
from indexing.sizing import Workload, disk, vectors
from indexing.sizing.measured import FILE, measured
from indexing.sizing.models import ModelFacts
from indexing.sizing.passages import passages_per_document, tokens_of
from indexing.sizing.times import Embedding, search_ms, view_seconds
from indexing.storage.files import bytes_below

LENGTH = 400
METADATA = 56
BATCH = 50_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--passages", type=int, nargs="+", default=[100_000, 250_000, 1_000_000])
    parser.add_argument("--beir", type=Path, nargs="*", default=[], help="folders to compare passages with")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--write", action="store_true", help=f"write {FILE.name} anew")
    parser.add_argument("--constants", action="store_true", help="no collections of these sizes")
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ask is not None:
        return ask(given.ask)
    if not given.json:
        describe("faiss-cpu", "usearch", "tantivy", "onnxruntime")
    with tempfile.TemporaryDirectory() as folder:
        run(given, Path(folder))
    return None


def run(given: argparse.Namespace, folder: Path) -> None:
    started = time.monotonic()
    corpus = sample_corpus(folder / "sample")
    texts = read_texts(corpus)
    constants = measure_constants(texts, folder)
    apply(constants)
    say = (lambda *_: None) if given.json else print
    say(f"constants measured in {time.monotonic() - started:.0f} s")
    lines = [*compare_text({"sample corpus": corpus, **{one.name: one for one in given.beir}})]
    if not given.constants:
        sizes = {count: measure_collection(texts, count, folder) for count in sorted(given.passages)}
        apply_slopes(sizes)
        for count, size in sizes.items():
            say(f"{count:,}: semantic {size['semantic']:.1f} ms, keyword {size['keyword']:.1f} ms")
            lines += compare(count, size)
    if given.write:
        write(lines)
    if given.json:
        print(json.dumps({"measured": measured(), "compared": lines}))
        return
    print(f"\n{'':<44}{'measured':>12}{'sums':>12}{'error':>8}")
    for line in lines:
        error = line["sums"] / line["measured"] - 1 if line["measured"] else 0.0
        print(f"{line['what']:<44}{line['measured']:>12,.2f}{line['sums']:>12,.2f}{error:>+8.0%}")
    print(f"\n{time.monotonic() - started:.0f} s in all")


# --- constants ---------------------------------------------------------------------------------------------


def measure_constants(texts: list[str], folder: Path) -> dict[str, Any]:
    """Everything that needs no large collection, by the parts of `measured.json`."""
    rows, graph = measure_rows(texts), measure_graph()
    words, made = measure_words(texts)
    found: dict[str, Any] = {
        "sqlite": rows["sqlite"],
        "views": {**rows["views"], "words": words},
        "usearch": {"row": graph["row"]},
        "store": {"sqlite": rows["store"]},
        "models": measure_models(texts),
        "rerankers": measure_rerankers(texts),
        "beside": measure_terms(),
        "build": {"usearch": round(graph["build"], 6), **made},
        "search": {"faiss": measure_scans(), "graphs": {"usearch": round(graph["search"], 2)}},
    }
    if (why := missing()) is not None:
        print(f"PostgreSQL left out: {why}", file=sys.stderr)
        return found
    postgres = measure_postgres(texts)
    found["build"]["pgvector"] = round(postgres.pop("build"), 6)
    found["search"]["graphs"]["pgvector"] = round(postgres.pop("search"), 2)
    character = rows["store"]["character"]
    each = round(postgres.pop("store") - 100 * character, 8)
    found["store"]["postgres"] = {"document": each, "character": character}
    found["postgres"] = postgres
    return found


def apply(constants: dict[str, Any], into: dict[str, Any] | None = None) -> None:
    """The sums of this process go by these from now on; what was not measured stays."""
    into = measured() if into is None else into
    for name, value in constants.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            apply(value, into[name])
        else:
            into[name] = value


def apply_slopes(sizes: dict[int, dict[str, float]]) -> None:
    """What grows with a collection, from the smallest and the largest that was measured."""
    (few, less), (many, more) = min(sizes.items()), max(sizes.items())
    if few == many:
        return
    known = measured()
    slope = {name: max(0.0, (more[name] - less[name]) / (many - few)) for name in less}
    search, memory, build = known["search"], known["memory"], known["build"]
    # What a hybrid search takes beyond that for vectors; the index of words is most of it.
    search["words"] = round(max(0.0, slope["hybrid"] - slope["semantic"]) * 1000, 6)
    int8 = search["faiss"]["int8"]
    alone = int8["row"] + int8["byte"] * WIDTH or 1.0  # nothing, where other programs were in the way
    search["faiss"]["int8"] = {
        name: round(value * slope["semantic"] * 1e6 / alone, 6) for name, value in int8.items()
    }
    search["fixed"] = round(max(0.0, less["hybrid"] - few * slope["hybrid"]), 2)
    search["code"] = round(more["code"], 5)
    memory["passage"] = round(slope["held"], 1)
    memory["process"] = round(less["held"] - few * slope["held"], -6)
    characters = less["characters"] * known["store"]["sqlite"]["character"]
    known["store"]["sqlite"]["document"] = round(slope["store"] - characters, 8)
    build["faiss"] = round(slope["vector view"], 9)
    build["faiss_once"] = round(max(0.0, less["vector view"] - few * slope["vector view"]), 2)
    build["once"] = round(max(0.0, less["views"] - few * slope["views"] - build["faiss_once"]), 2)
    words = build["document"] + less["characters"] * build["character"]
    build["document"] = round(build["document"] + max(0.0, slope["views"] - slope["vector view"] - words), 8)


def write(lines: list[dict[str, Any]]) -> None:
    """The table as it is now, with what it was compared with; pairs of numbers on one line each."""
    gigabytes = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    where = f"{cpu_name()}, {os.cpu_count()} cores, {gigabytes} GB, Python {platform.python_version()}"
    known = {**measured(), "on": f"{where}; tests/benchmarks/bench_sizing.py --write"}
    known["compared"] = [
        {**one, "measured": round(one["measured"], 3), "sums": round(one["sums"], 3)} for one in lines
    ]
    text = re.sub(r"\[\s+([\d.]+),\s+([\d.]+)\s+\]", r"[\1, \2]", json.dumps(known, indent=2))
    FILE.write_text(text + "\n", "utf-8")


# --- collections -------------------------------------------------------------------------------------------


def measure_collection(texts: list[str], count: int, folder: Path) -> dict[str, float]:
    """A collection of `count` documents of one passage each: bytes, seconds, memory, milliseconds."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=folder) as home:
        store = characters = 0.0
        with Collection.create("sized", dimension=WIDTH, home=home) as collection:
            for first in range(0, count, BATCH):
                rows = list(documents(texts, min(BATCH, count - first), LENGTH, first))
                characters += sum(len(row["text"]) for row in rows)
                report = collection.add(rows, vectors=random_rows(len(rows), seed=first + 1))
                store += report.seconds - report.view_seconds
            started = time.perf_counter()
            collection.rebuild_views()
            found["views"] = time.perf_counter() - started
            collection.compact()
            path = Path(collection.info().path)
        found["vector view"] = time_vector_view(Path(home), path.parent / "views" / "vectors")
        found |= {"store": store, "characters": characters / count}
        found["catalog"] = sum(one.stat().st_size for one in path.parent.glob("catalog.sqlite*"))
        found |= {f"{one.name} files": bytes_below(one) for one in (path.parent / "views").iterdir()}
        found |= asked(Path(home))
    return found


def time_vector_view(home: Path, folder: Path) -> float:
    """Seconds to make the index of vectors alone from the codes of the catalog."""
    shutil.rmtree(folder)
    with Collection.open("sized", home=home) as collection:
        started = time.perf_counter()
        collection.refresh()
        return time.perf_counter() - started


def asked(home: Path) -> dict[str, float]:
    """What a process of its own measures that searches."""
    done = subprocess.run(
        [sys.executable, __file__, "--ask", str(home)], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout)


def ask(home: Path) -> None:
    """Median milliseconds of each mode, and bytes of its own that the process holds then."""
    with Collection.open("sized", home=home) as collection:
        texts = [one.text for one, _ in zip(collection, range(42), strict=False)]
        words = [" ".join(text.split()[3:9]) for text in texts]
        questions = list(zip(random_rows(len(words), seed=3), words, strict=True))
        figures = {
            mode: median_ms(lambda q, mode=mode: search(collection, mode, *q), questions)
            for mode in ("semantic", "keyword", "hybrid")
        }
        figures["code"] = code_ms(collection)
        figures["held"] = status("RssAnon") * 2.0**20
    print(json.dumps(figures))


def code_ms(collection: Collection, count: int = 2_000) -> float:
    """Milliseconds that one of many codes takes which are read from the catalog by their keys."""
    with reading(collection._session.database) as connection:
        last = len(collection)
        keys = np.random.default_rng(5).integers(1, last + 1, count).tolist()
        codes_of_chunks(connection, keys, "")
        started = time.perf_counter()
        codes_of_chunks(connection, keys, "")
        return (time.perf_counter() - started) * 1e3 / count


def search(collection: Collection, mode: str, vector: Any, words: str) -> None:
    collection.search(words, vector=None if mode == "keyword" else vector, mode=mode)


# --- beside the sums ---------------------------------------------------------------------------------------


def compare_text(folders: dict[str, Path]) -> list[dict[str, Any]]:
    lines = []
    for name, one in measure_text(folders).items():
        tokens = tokens_of(one["length"])
        lines.append(
            line(f"{name}: characters a token", one["per_token"], measured()["text"]["characters_per_token"])
        )
        lines.append(
            line(f"{name}: passages a document", one["passages"], passages_per_document(tokens, 256, 32))
        )
    return lines


def compare(count: int, size: dict[str, float]) -> list[dict[str, Any]]:
    work = Workload(
        count, size["characters"], ModelFacts("", WIDTH), metadata=METADATA, fields=FIELDS, passages_each=1.0
    )
    code = disk.code_bytes(WIDTH, "int8")
    catalog = disk.document_bytes(work.length, METADATA) + disk.passage_bytes() + code
    held = measured()["memory"]["process"] + vectors.memory(count, WIDTH, "int8").resident
    store = Embedding.of(work, "sqlite").store
    name = f"{count:,}"
    return [
        line(f"{name}: catalog, bytes a passage", size["catalog"] / count, catalog),
        line(f"{name}: vectors, bytes", size["vectors files"] / count, vectors.view_bytes(1, WIDTH, "int8")),
        line(f"{name}: words, bytes", size["lexical files"] / count, disk.words_bytes(work.length)),
        line(f"{name}: columns, bytes", size["columns files"] / count, disk.column_bytes(FIELDS)),
        line(f"{name}: memory held, MB", size["held"] / 1e6, held / 1e6),
        line(f"{name}: stored in, s", size["store"], store),
        line(f"{name}: views made in, s", size["views"], view_seconds(work, "faiss")),
        line(f"{name}: vectors of them, s", size["vector view"], vectors.build_seconds(count, WIDTH, "int8")),
        line(f"{name}: hybrid search, ms", size["hybrid"], search_ms(work, "faiss")),
    ]


def line(what: str, measured_value: float, sums: float) -> dict[str, Any]:
    return {"what": what, "measured": measured_value, "sums": sums}


if __name__ == "__main__":
    os.environ.setdefault("STLIB_STATE", tempfile.mkdtemp())
    main()
