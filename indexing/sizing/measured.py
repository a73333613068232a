"""What was measured, kept in `measured.json` beside this file: every sum of this package begins there.

`tests/benchmarks/bench_sizing.py --write` makes the file anew. Each part says under `on` what it was measured
on; what a part does not know is null, and `known` says what stands for it.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["FILE", "measured"]

FILE = Path(__file__).with_name("measured.json")


@cache
def measured() -> dict[str, Any]:
    """The whole table; whoever changes what is returned changes it for all."""
    table: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return table
