"""The wheel alone, outside the checkout, answers a question."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow

ASK = """
import json, stlib, indexing, app
from indexing import Collection
collection = Collection.create("c", home="home")
collection.add([{"id": "bread", "text": "Dough rises because yeast makes gas."},
                {"id": "rust", "text": "Iron rusts in wet air."}])
found = collection.search("why does bread get bigger in the oven", mode="semantic")
print(json.dumps([found.results[0].id, stlib.__file__, indexing.__file__, app.__file__]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return next(out.glob("*.whl"))


def test_wheel_holds_the_model_and_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    model = "stlib/_data/models/stlib-static-en/"
    assert {f"{model}modules.json", f"{model}README.md", "stlib/py.typed"} <= set(names)
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"stlib", "indexing", "app"}
    assert "indexing/catalog/migrations/versions/0001_first_tables.py" in names
    assert sum(zipfile.ZipFile(wheel).getinfo(n).file_size for n in names if n.startswith(model)) <= 12e6


def test_wheel_answers_a_question_outside_the_checkout(wheel, tmp_path):
    target = tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=300)
    env = {**os.environ, "PYTHONPATH": str(target)}
    done = subprocess.run([sys.executable, "-c", ASK], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer, *files = json.loads(done.stdout)
    assert answer == "bread"
    assert all(Path(file).is_relative_to(target) for file in files), files
