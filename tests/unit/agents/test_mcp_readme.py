"""What app/README.md shows of agents is what happens."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from app.mcp.tools import TOOLS
from indexing import Collection
from tests.unit.agents.conftest import ANIMALS, ROOT

TEXT = (ROOT / "app" / "README.md").read_text("utf-8").partition("## Agents (MCP)")[2].partition("\n## ")[0]


def test_every_tool_is_named():
    rows = [line for line in TEXT.split("\n") if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+)(?:\(\w+\))?`", row.split(" | ")[0])]
    assert named == [tool.name for tool in TOOLS]


def test_the_client_prints_what_a_document_says(tmp_path):
    with Collection.create("animals", home=tmp_path / "home") as collection:
        collection.add(ANIMALS)
    script = tmp_path / "stlib"
    script.write_text(f"#!{sys.executable}\nfrom app.cli import main\nmain()\n")
    script.chmod(0o755)
    [program] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    handed = f'args=["mcp"], env={{"PYTHONPATH": {str(ROOT)!r}, "STLIB_HOME": {str(tmp_path / "home")!r}}}'
    program = program.replace('args=["mcp"]', handed)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=60
    )
    assert ran.stdout == "Bee - Bees make honey from flowers.\n", ran.stderr
