"""``python -m stlib.recipes`` lists the recipes."""

from __future__ import annotations

import ast
from pathlib import Path

if __name__ == "__main__":
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        summary = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]
        print(f"{path.stem:28}{summary}")  # noqa: T201
    print("\npython -m stlib.recipes.NAME --help")  # noqa: T201
