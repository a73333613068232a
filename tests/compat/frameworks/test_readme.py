"""What indexing/README.md shows of frameworks is what happens."""

from __future__ import annotations

import re
from pathlib import Path

TEXT = (Path(__file__).resolve().parents[3] / "indexing" / "README.md").read_text("utf-8")
SECTION = TEXT.partition("## In LangChain, LlamaIndex and Haystack")[2].partition("\n## ")[0]


def test_each_block_runs_and_finds_the_bee(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STLIB_HOME", str(tmp_path))
    blocks = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    printed = []
    for block in blocks:
        exec(block, {})
        printed.append(capsys.readouterr().out)
    bee = "Bees make honey.\n"
    assert printed == [bee + "bee\n", bee, bee, bee]
