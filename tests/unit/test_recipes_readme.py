"""What the library's README shows is what happens, and it names every recipe."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

STLIB = Path(__file__).resolve().parents[2] / "stlib"
README = STLIB / "README.md"
RECIPES = sorted(path.stem for path in (STLIB / "recipes").glob("[a-z]*.py"))


def test_encoding_session_prints_what_it_says():
    results = doctest.testfile(str(README), module_relative=False, encoding="utf-8")
    assert (results.failed, results.attempted > 5) == (0, True)


def test_training_example_runs_and_prints_what_it_says(tmp_path, monkeypatch, capsys):
    pytest.importorskip("datasets")
    pytest.importorskip("accelerate")
    monkeypatch.chdir(tmp_path)
    text = README.read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (code,) = (block for block in blocks if "SentenceTransformerTrainer(" in block)
    exec(compile(code, str(README), "exec"), {})
    assert re.findall(r"# (\{.*\})", code)[0] in capsys.readouterr().out
    assert (tmp_path / "my-model" / "modules.json").exists()


def test_every_recipe_is_named_in_one_line():
    rows = re.findall(r"^\| `(\w+)` \| .+ \|$", README.read_text("utf-8"), re.MULTILINE)
    assert sorted(rows) == RECIPES


def test_named_files_exist():
    named = re.findall(r"`(stlib/[\w/]+/)`", README.read_text("utf-8"))
    assert [name for name in named if not (STLIB.parent / name).is_dir()] == []


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_explains_itself(name, capsys):
    pytest.importorskip("datasets")
    pytest.importorskip("accelerate")
    if name == "lora":
        pytest.importorskip("peft")
    recipe = importlib.import_module(f"stlib.recipes.{name}")
    with pytest.raises(SystemExit) as stopped:
        recipe.main(["--help"])
    assert stopped.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"python -m stlib.recipes.{name} " in (recipe.__doc__ or "")
    # Whatever the first lines show can be given
    options = re.findall(r"(?<= )--[a-z-]+", (recipe.__doc__ or "").replace("``", " "))
    assert [option for option in options if f"{option} " not in re.sub(r"[],]", " ", shown)] == []
