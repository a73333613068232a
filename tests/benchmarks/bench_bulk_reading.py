"""How fast bulk loads are planned and read: bytes whose lines are counted a second, documents a second.

    python tests/benchmarks/bench_bulk_reading.py [--megabytes 256]

JSONL of ASCII, of German and of Chinese text, and Parquet, on a local disk. Nothing is embedded.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pyarrow as pa
import pyarrow.parquet as parquet
from bench_common import describe

from indexing.bulk.plan import plan_shards
from indexing.bulk.shards import ShardReader
from indexing.bulk.specs import Entry, Group
from indexing.documents import read_paths
from indexing.documents.options import ReadOptions
from indexing.documents.walk import plan_files

TEXTS = {
    "ASCII": "some words of a passage, one after the other ",
    "German": "schöne größere Wörter, eins nach dem anderen ",
    "Chinese": "一個接一個的詞語",
}
READ = 40_000  # documents


def write_lines(path: Path, text: str, count: int) -> None:
    line = json.dumps({"title": "Title", "text": text * 12}, ensure_ascii=False).encode() + b"\n"
    with path.open("wb") as stream:
        for _ in range(count // 1000):
            stream.write(line * 1000)


def write_rows(path: Path, text: str, count: int) -> None:
    texts = [f"{number} {text * 12}" for number in range(count)]
    parquet.write_table(pa.table({"text": texts}), path, row_group_size=10_000)


def group_of(path: Path) -> Group:
    options = ReadOptions()
    return Group([Entry(file) for file in plan_files([path], None, options).files], options)


def measure_planning(path: Path) -> None:
    started = time.perf_counter()
    shards = list(plan_shards([group_of(path)], piece_documents=512))
    seconds = time.perf_counter() - started
    size = path.stat().st_size
    rate = f"{size / seconds / 1e6:8,.0f} MB/s planned"
    print(f"{path.name:16} {size / 1e6:7,.0f} MB {len(shards):6,} shards {rate}")


def measure_reading(path: Path) -> None:
    started = time.perf_counter()
    plain = sum(1 for _ in read_paths([path]))
    by_itself = time.perf_counter() - started
    shards = list(plan_shards([group_of(path)], piece_documents=512))
    with ShardReader() as reader:
        started = time.perf_counter()
        read = sum(len(piece.documents) for shard in shards for piece in reader.read(shard))
        by_shards = time.perf_counter() - started
    print(
        f"{path.name:16} {read:9,} documents {plain / by_itself:9,.0f} a second plainly"
        f" {read / by_shards:9,.0f} by {len(shards):,} shards"
    )
    assert read == plain, "every document is read once"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=256, help="of each file whose lines are counted")
    asked = parser.parse_args()
    describe()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, text in TEXTS.items():
            path = folder / f"{kind}.jsonl"
            write_lines(path, text, asked.megabytes * 2**20 // (len(text.encode()) * 12 + 40))
            measure_planning(path)
            path.unlink()
        write_lines(folder / "read.jsonl", TEXTS["ASCII"], READ)
        write_rows(folder / "read.parquet", TEXTS["ASCII"], READ)
        for path in sorted(folder.iterdir()):
            measure_reading(path)


if __name__ == "__main__":
    main()
