"""Build the sample corpus: Python's own standard library, searched by meaning.

    python data/sample/build.py OUT_DIR

Writes a BEIR folder: ``corpus.jsonl`` from the docstrings of the interpreter that runs this, and
beside it the questions (``queries.jsonl``) and their graded answers (``qrels/test.tsv``). A second set of
questions lies in ``asked``, its answers split in two. The same interpreter writes the same bytes each time.
Needs nothing but the standard library.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_CARRIED = (
    "queries.jsonl",
    "qrels/test.tsv",
    "asked/queries.jsonl",
    "asked/qrels/train.tsv",
    "asked/qrels/test.tsv",
)


def build(out: Path) -> int:
    """Write the BEIR folder ``out``, made if missing, and return the number of passages."""
    from passages import passage
    from walk import public_members

    passages = [found for member in public_members() if (found := passage(member))]
    out.mkdir(parents=True, exist_ok=True)
    with (out / "corpus.jsonl").open("w", encoding="utf-8", newline="\n") as corpus:
        for one in passages:
            corpus.write(json.dumps(one, ensure_ascii=False) + "\n")
    for name in _CARRIED:
        if (out / name).resolve() != _HERE / name:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(_HERE / name, out / name)
    return len(passages)


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the sample corpus.")
    parser.add_argument("out", type=Path, metavar="OUT_DIR", help="folder to write, made if missing")
    out = parser.parse_args().out
    if sys.flags.optimize > 1:
        print("error: Python runs with -OO, which drops the docstrings; run it without", file=sys.stderr)
        return 1
    try:
        count = build(out)
    except OSError as error:
        print(f"error: cannot write {out}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{count} passages in {out / 'corpus.jsonl'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
