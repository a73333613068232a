"""`import stlib` against `import sentence_transformers`: seconds and memory of a whole process.

python tests/benchmarks/bench_import.py
"""

from __future__ import annotations

import sys

from bench_common import describe, process_cost


def main() -> None:
    describe("sentence-transformers", "torch")
    nothing, base = process_cost([sys.executable, "-c", "pass"])
    ours, our_memory = process_cost([sys.executable, "-c", "import stlib"])
    theirs, their_memory = process_cost([sys.executable, "-c", "import sentence_transformers"], times=3)
    print(f"interpreter alone             {nothing:6.3f} s  {base:6.0f} MiB")
    print(f"import stlib                  {ours:6.3f} s  {our_memory:6.0f} MiB  (+{ours - nothing:.3f} s)")
    print(f"import sentence_transformers  {theirs:6.3f} s  {their_memory:6.0f} MiB")
    print(f"ratio of times {ours / theirs:.3f}, of memory {our_memory / their_memory:.3f}")


if __name__ == "__main__":
    main()
